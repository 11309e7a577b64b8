//! The rule by which other scanners find our secrets, in the form of each. All of them have the same regular expression,
//! which knows no checksum: what they find, `fuuffy scan` confirms.

use std::fmt::Write as _;

use clap::ValueEnum;
use fuuffy_protocol::{ClientSecret, SecretKind};

/// A scanner that takes rules.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Scanner {
    /// A configuration file, in TOML.
    Gitleaks,
    /// A configuration file with a custom detector, in YAML.
    Trufflehog,
    /// What to fill in for a custom pattern of secret scanning.
    Github,
}

/// What comes before a secret, for a scanner that asks: nothing that would be part of a longer word.
const BEFORE: &str = r"\A|[^0-9A-Za-z]";
/// What comes after it.
const AFTER: &str = r"\z|[^0-9A-Za-z]";

/// The text that a scanner takes.
pub(super) fn of(scanner: Scanner) -> String {
    let (secret, prefixes) = (pattern(), [SecretKind::Testing, SecretKind::Production].map(SecretKind::prefix));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match scanner {
        Scanner::Gitleaks => write!(
            text,
            "# gitleaks git --config THIS_FILE\n\
             [extend]\nuseDefault = true\n\n\
             [[rules]]\nid = \"fuuffy-client-secret\"\ndescription = \"Client secret of the Fuuffy API\"\n\
             regex = '''({secret})\\b'''\nsecretGroup = 1\nkeywords = [\"{}\"]\n",
            prefixes.join("\", \"")
        ),
        Scanner::Trufflehog => write!(
            text,
            "# trufflehog filesystem PATH --config=THIS_FILE\n\
             detectors:\n  - name: FuuffyClientSecret\n    keywords:\n      - {}\n    regex:\n      secret: '({secret})\\b'\n",
            prefixes.join("\n      - ")
        ),
        Scanner::Github => write!(
            text,
            "Pattern name:   Fuuffy client secret\nSecret format:  {secret}\nBefore secret:  {BEFORE}\nAfter secret:   {AFTER}\n"
        ),
    };
    text
}

/// A secret as a regular expression that RE2, Hyperscan and PCRE read alike.
fn pattern() -> String {
    let [testing, production] = [SecretKind::Testing, SecretKind::Production].map(SecretKind::prefix);
    format!("(?:{testing}|{production})[0-9A-Za-z]{{{}}}", ClientSecret::LENGTH - testing.len())
}
