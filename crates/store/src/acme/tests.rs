//! What is kept is private, whole, and each authority's own.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const CERTIFICATE: AcmeItem = AcmeItem::Certificate(EnvironmentName::Testing);

#[test]
fn what_is_kept_is_read_again_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = AcmeShelf::open(folder.path(), "one").unwrap();
    assert!(shelf.read(CERTIFICATE).unwrap().is_none());
    shelf.keep(CERTIFICATE, "first").unwrap();
    shelf.keep(CERTIFICATE, "second").unwrap();
    assert_eq!(shelf.read(CERTIFICATE).unwrap().unwrap().as_str(), "second");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("acme/one/testing.pem")), 0o600);
    assert_eq!(mode(&folder.path().join("acme/one")), 0o700);
    for other in [AcmeItem::Account, AcmeItem::Certificate(EnvironmentName::Production)] {
        assert!(shelf.read(other).unwrap().is_none());
    }
    let other = AcmeShelf::open(folder.path(), "other").unwrap();
    assert!(other.read(CERTIFICATE).unwrap().is_none(), "another authority's");
    shelf.forget(CERTIFICATE).unwrap();
    shelf.forget(CERTIFICATE).unwrap();
    assert!(shelf.read(CERTIFICATE).unwrap().is_none());
}

#[test]
fn what_others_can_read_or_nobody_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = AcmeShelf::open(folder.path(), "one").unwrap();
    shelf.keep(AcmeItem::Account, "key").unwrap();
    let path = folder.path().join("acme/one/account.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(shelf.read(AcmeItem::Account).unwrap_err().to_string().contains("chmod 600"));
    shelf.keep(AcmeItem::Account, &"x".repeat(300_000)).unwrap();
    assert!(shelf.read(AcmeItem::Account).unwrap_err().to_string().contains("too large"));
}
