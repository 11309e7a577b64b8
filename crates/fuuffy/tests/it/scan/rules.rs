//! The rules for other scanners are in those scanners' forms, and their expression finds what it should.

use std::path::Path;

use fuuffy_protocol::SecretKind;
use regex::Regex;

use super::{scan_in, secret};

fn rules(of: &str) -> String {
    let scan = scan_in(Path::new("/"), &["--rules", of], b"");
    assert_eq!(scan.status, 0, "{}", scan.err);
    scan.out
}

/// What the expression must find, and what it must not, in the middle of foreign text.
fn assert_finds_secrets(expression: &str) {
    let expression = Regex::new(expression).unwrap();
    for kind in [SecretKind::Testing, SecretKind::Production] {
        let secret = secret(kind, 40);
        for text in [secret.clone(), format!("x=\"{secret}\"\n"), format!("\\n{secret}\\n"), format!("({secret})")] {
            let found = expression.captures(&text).unwrap_or_else(|| panic!("{text} is not found"));
            assert_eq!(&found[1], secret, "{text}");
        }
        for text in [&secret[..57], &format!("{secret}0"), &secret.replace("fsk_", "sk_"), "fsk_test_…", ""] {
            assert!(!expression.is_match(text), "{text}");
        }
    }
}

#[test]
fn gitleaks_gets_a_rule_in_toml() {
    let text = rules("gitleaks");
    insta::assert_snapshot!(text, @r#"
    # gitleaks git --config THIS_FILE
    [extend]
    useDefault = true

    [[rules]]
    id = "fuuffy-client-secret"
    description = "Client secret of the Fuuffy API"
    regex = '''((?:fsk_test_|fsk_live_)[0-9A-Za-z]{49})\b'''
    secretGroup = 1
    keywords = ["fsk_test_", "fsk_live_"]
    "#);
    let rule = text.parse::<toml::Table>().unwrap()["rules"][0].clone();
    assert_eq!(rule["secretGroup"].as_integer(), Some(1));
    assert_finds_secrets(rule["regex"].as_str().unwrap());
    // A keyword is looked for before the expression is, in lower case.
    for keyword in rule["keywords"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()) {
        assert!(keyword == keyword.to_lowercase() && ["fsk_test_", "fsk_live_"].contains(&keyword));
    }
}

#[test]
fn trufflehog_gets_a_detector_in_yaml() {
    let text = rules("trufflehog");
    insta::assert_snapshot!(text, @r"
    # trufflehog filesystem PATH --config=THIS_FILE
    detectors:
      - name: FuuffyClientSecret
        keywords:
          - fsk_test_
          - fsk_live_
        regex:
          secret: '((?:fsk_test_|fsk_live_)[0-9A-Za-z]{49})\b'
    ");
    let quoted = text.split_once("secret: '").unwrap().1.split_once('\'').unwrap().0;
    assert_finds_secrets(quoted);
}

#[test]
fn github_gets_what_its_form_asks_for() {
    let text = rules("github");
    insta::assert_snapshot!(text, @r"
    Pattern name:   Fuuffy client secret
    Secret format:  (?:fsk_test_|fsk_live_)[0-9A-Za-z]{49}
    Before secret:  \A|[^0-9A-Za-z]
    After secret:   \z|[^0-9A-Za-z]
    ");
    let field = |name: &str| text.lines().find_map(|it| it.strip_prefix(name)).unwrap().trim().to_owned();
    let (before, secret, after) = (field("Before secret:"), field("Secret format:"), field("After secret:"));
    let whole = Regex::new(&format!("(?:{before})({secret})(?:{after})")).unwrap();
    let text = format!("\"{}\"", super::secret(SecretKind::Testing, 41));
    assert_eq!(&whole.captures(&text).unwrap()[1], super::secret(SecretKind::Testing, 41));
}
