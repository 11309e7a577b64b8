//! Rules that fit one workload and no other, and rules that are none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rules(of: &[(&str, &str)]) -> Result<ClaimRules, ClaimRulesFault> {
    ClaimRules::parse(of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn fit(of: &[(&str, &str)], claims: &Value) -> bool {
    rules(of).unwrap().fit(claims.as_object().unwrap())
}

#[test]
fn all_rules_fit_exactly() {
    let claims = json!({"sub": "repo:acme/shop", "ref": "refs/heads/main", "attempt": 1, "private": true,
        "groups": ["a"], "nested": {"a": "b"}, "none": null});
    assert!(fit(&[("sub", "repo:acme/shop")], &claims));
    assert!(fit(
        &[("sub", "repo:acme/shop"), ("ref", "refs/heads/main"), ("attempt", "1"), ("private", "true")],
        &claims
    ));
    for wrong in [
        ("sub", "repo:acme/sho"),
        ("sub", "repo:acme/shop2"),
        ("sub", "REPO:acme/shop"),
        ("sub", "repo:acme/*"),
        ("attempt", "1.0"),
        ("groups", "a"),
        ("groups", "[\"a\"]"),
        ("nested", "b"),
        ("none", "null"),
        ("missing", ""),
    ] {
        if let Ok(rules) = rules(&[wrong]) {
            assert!(!rules.fit(claims.as_object().unwrap()), "{wrong:?}");
        }
        if !wrong.1.is_empty() {
            assert!(!fit(&[("ref", "refs/heads/main"), wrong], &claims), "{wrong:?}: one of two is not enough");
        }
    }
}

#[test]
fn rules_that_tell_nobody_from_others_are_none() {
    assert_eq!(rules(&[]), Err(ClaimRulesFault::Count));
    let names: Vec<String> = (0..11).map(|number| format!("claim{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a")).collect();
    assert_eq!(rules(&many), Err(ClaimRulesFault::Count));
    assert!(rules(&many[1..]).is_ok());
    for name in ["iss", "aud", "exp", "nbf", "iat", "jti"] {
        assert_eq!(rules(&[("sub", "a"), (name, "b")]), Err(ClaimRulesFault::NoRule(name.to_owned())));
    }
    for (name, value) in [("", "a"), ("sub", ""), ("sub", "a\nb"), ("a\0", "b"), ("sub", "x".repeat(257).as_str())] {
        assert_eq!(rules(&[(name, value)]), Err(ClaimRulesFault::Text));
    }
}

#[test]
fn what_names_whose_workload_it_is_can_be_asked_for() {
    let binding = ["sub".to_owned(), "repository".to_owned()];
    assert!(rules(&[("repository", "acme/shop"), ("ref", "refs/heads/main")]).unwrap().name_one_of(&binding));
    assert!(!rules(&[("ref", "refs/heads/main")]).unwrap().name_one_of(&binding));
}

proptest! {
    #[test]
    fn what_is_written_down_is_read(name in "[a-z_]{2,9}x", value in "[^\\p{Cc}]{1,60}") {
        let of = rules(&[(&name, &value)]).unwrap();
        prop_assert_eq!(ClaimRules::from_json(&of.to_json()), Ok(of.clone()));
        let claims = json!({ &name: value });
        prop_assert!(of.fit(claims.as_object().unwrap()));
    }
}
