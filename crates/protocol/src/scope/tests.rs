//! The scope grammar, and set semantics against a naive model.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn the_grammar_of_rfc_6749_is_kept() {
    for bad in [" a", "a ", "a  b", "a\"b", "a\\b", "a\tb", "ä", "a\nb"] {
        assert_eq!(ScopeSet::parse(bad), Err(ScopeFault::Malformed), "{bad:?}");
    }
    assert_eq!(ScopeSet::parse("b a b").unwrap().to_string(), "a b");
    assert_eq!(ScopeSet::parse(&"a".repeat(2049)), Err(ScopeFault::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Ok(scopes) = ScopeSet::parse(&text) {
            prop_assert_eq!(ScopeSet::parse(&scopes.to_string()), Ok(scopes));
        }
    }

    #[test]
    fn covering_is_being_a_superset(a in "[a-d]( [a-d]){0,4}", b in "[a-d]( [a-d]){0,4}") {
        let model = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let covers = ScopeSet::parse(&a).unwrap().covers(&ScopeSet::parse(&b).unwrap());
        prop_assert_eq!(covers, model(&a).is_superset(&model(&b)));
    }
}
