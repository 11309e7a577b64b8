//! Secrets in a real keyring, and what is said where it gives none.

use fuuffy_client::{CredentialSource as _, ErrorKind, KeyringCredentials};

use crate::gnome_keyring::{Bus, GnomeKeyring};
use crate::place::Place;

fn source(bus: &Bus) -> KeyringCredentials {
    KeyringCredentials::new("app_1", "fuuffy").bus(&bus.address)
}

async fn error(source: &KeyringCredentials) -> String {
    let error = source.read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    error.to_string()
}

#[tokio::test]
async fn a_secret_is_stored_as_the_error_says_and_a_rotated_one_is_taken_up() {
    let (keyring, place) = (GnomeKeyring::start().await, Place::new().await);
    let missing = error(&source(&keyring.bus)).await;
    let (what, command) = missing.split_once("; store it: ").unwrap();
    assert_eq!(what, "there is no secret for app_1 under fuuffy in the keyring");
    keyring.store(command, "first&s3cret\n").await;
    let client = place.builder().credential_source(source(&keyring.bus)).build().unwrap();
    client.tokens().token().await.unwrap();
    keyring.store(command, "second").await;
    place.clock.pass(std::time::Duration::from_secs(3600));
    client.tokens().token().await.unwrap();
    let sent = place.server.received("/v1/auth/token");
    let secrets: Vec<_> = sent.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect();
    assert!(secrets[0].ends_with("client_id=app_1&client_secret=first%26s3cret"), "{secrets:?}");
    assert!(secrets[1].ends_with("client_id=app_1&client_secret=second"), "{secrets:?}");
}

#[tokio::test]
async fn the_secret_is_that_of_the_client_and_the_service() {
    let keyring = GnomeKeyring::start().await;
    for (service, user, secret) in [("fuuffy", "app_2", "a"), ("my shop", "app_1", "b"), ("other", "app_1", "c")] {
        keyring.store(&format!("secret-tool store --label=x service '{service}' username {user}"), secret).await;
    }
    assert!(error(&source(&keyring.bus)).await.starts_with("there is no secret for app_1 under fuuffy"));
    let of_shop = KeyringCredentials::new("app_1", "my shop").bus(&keyring.bus.address);
    let credentials = of_shop.read().await.unwrap();
    assert_eq!((credentials.client_id.as_str(), credentials.secret().unwrap().reveal()), ("app_1", "b"));
    let quoted = KeyringCredentials::new("app; 3", "my shop").bus(&keyring.bus.address);
    assert!(error(&quoted).await.ends_with("service 'my shop' username 'app; 3'"));

    let command = "secret-tool store --label=x service fuuffy username app_1";
    keyring.store(command, "s3cret").await;
    keyring.store(&format!("{command} note more"), "s3cret").await;
    let several = error(&source(&keyring.bus)).await;
    assert!(several.contains("there are 2 secrets for app_1 under fuuffy") && !several.contains("s3cret"), "{several}");
}

#[tokio::test]
async fn what_is_kept_is_one_line_of_text() {
    let keyring = GnomeKeyring::start().await;
    let command = "secret-tool store --label=x service fuuffy username app_1";
    for (kept, words) in [("\n", "is empty"), ("a\ns3cret", "more than one line")] {
        keyring.store(command, kept).await;
        let said = error(&source(&keyring.bus)).await;
        assert!(said.starts_with("the secret for app_1 in the keyring") && said.contains(words), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_keyring_that_is_locked_says_so() {
    let keyring = GnomeKeyring::start().await;
    keyring.store("secret-tool store --label=x service fuuffy username app_1", "s3cret").await;
    source(&keyring.bus).read().await.unwrap();
    keyring.lock().await;
    // Nobody is there to be asked for the password.
    assert_eq!(
        error(&source(&keyring.bus)).await,
        "the keyring with the secret for app_1 is locked; unlock it, then try again"
    );
}

#[tokio::test]
async fn a_machine_without_a_keyring_says_so() {
    let bus = Bus::start().await;
    let nobody = error(&source(&bus)).await;
    assert!(nobody.starts_with("there is no keyring to be reached on this machine ("), "{nobody}");
    assert!(nobody.contains("org.freedesktop.secrets") && nobody.contains("FUUFFY_CLIENT_SECRET_FILE"), "{nobody}");
    let address = bus.address.clone();
    drop(bus);
    for address in [address.as_str(), "unix:path=/no/such/bus", "nonsense"] {
        let gone = error(&KeyringCredentials::new("app_1", "fuuffy").bus(address)).await;
        assert!(gone.starts_with("there is no keyring to be reached on this machine ("), "{gone}");
    }
}
