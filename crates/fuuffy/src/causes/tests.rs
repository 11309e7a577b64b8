//! Which words of an error are told.

use anyhow::anyhow;

use super::*;

#[test]
fn each_cause_is_said_once() {
    let error = anyhow!("closed").context("broke off: closed").context("broke off: closed").context("GET /orders");
    assert_eq!(said(error.as_ref()), "GET /orders: broke off: closed");
    assert_eq!(said(anyhow!("alone").as_ref()), "alone");
    assert_eq!(said(anyhow!("a\u{1b}[2J\nb\u{9b}c\r").as_ref()), "a\u{fffd}[2J\nb\u{fffd}c\u{fffd}");
}
