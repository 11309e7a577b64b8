//! The cache by itself, on real files, with time that the test owns: what is kept, for how long, and what
//! is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuuffy_domain::{ManualTime, Timestamp};
use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Place {
    folder: TempDir,
    time: Arc<ManualTime>,
    fetched: AtomicUsize,
}

impl Place {
    fn new() -> Self {
        let time = Arc::new(ManualTime::starting_at(Timestamp::from_unix_millis(1_800_000_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), time, fetched: AtomicUsize::new(0) }
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    fn cache(&self, scope: &str) -> DiskCache {
        DiskCache::by(
            self.folder(),
            &["http://127.0.0.1/v1", "testing", "my-id", scope],
            (self.time.clone(), "b1".to_owned()),
        )
    }

    /// The token that a new process gets.
    async fn token(&self) -> String {
        self.ask(&self.cache("")).await.unwrap().access_token.reveal().to_owned()
    }

    async fn ask(&self, cache: &DiskCache) -> Result<Grant, Error> {
        cache.token(None, Box::pin(async { Ok(self.grant()) })).await
    }

    fn grant(&self) -> Grant {
        let number = self.fetched.fetch_add(1, Ordering::Relaxed) + 1;
        let access_token = AccessToken::granted(Zeroizing::new(format!("t{number}"))).unwrap();
        Grant { access_token, life: Some(HOUR), refresh_after: None, scope: None }
    }

    fn file(&self) -> PathBuf {
        self.cache("").path("json")
    }
}

#[tokio::test]
async fn a_token_is_kept_for_those_who_ask_for_the_same() {
    let place = Place::new();
    assert_eq!((place.token().await, place.token().await), ("t1".to_owned(), "t1".to_owned()));
    let other = place.ask(&place.cache("orders:read")).await.unwrap();
    assert_eq!(other.access_token.reveal(), "t2", "another scope");
    assert_eq!(place.ask(&place.cache("").anew()).await.unwrap().access_token.reveal(), "t3");
    assert_eq!(place.token().await, "t3");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place.folder()), mode(&place.file())), (0o700, 0o600));
}

/// A token that is bound to a certificate is of no use with another, and short-lived ones leave no files behind.
#[tokio::test]
async fn a_token_of_one_certificate_is_not_answered_to_another() {
    let place = Place::new();
    let cache = place.cache("");
    let of = async |thumbprint: &str| {
        let grant = cache.bound_token(thumbprint, None, Box::pin(async { Ok(place.grant()) })).await.unwrap();
        grant.access_token.reveal().to_owned()
    };
    assert_eq!((of("first").await, of("first").await), ("t1".to_owned(), "t1".to_owned()));
    assert_eq!((of("second").await, of("second").await), ("t2".to_owned(), "t2".to_owned()));
    assert_eq!(
        (place.token().await, of("second").await),
        ("t3".to_owned(), "t4".to_owned()),
        "nor to whoever has none"
    );
    assert_eq!(std::fs::read_dir(place.folder()).unwrap().count(), 2, "the token and the lock");
}

#[tokio::test]
async fn what_is_left_of_a_life_is_told_and_a_token_is_replaced_early() {
    let place = Place::new();
    place.token().await;
    place.time.pass(HOUR / 2);
    let grant = place.ask(&place.cache("")).await.unwrap();
    assert_eq!((grant.life, grant.refresh_after), (Some(HOUR / 2), Some(HOUR.mul_f64(0.3))));
    place.time.pass(HOUR.mul_f64(0.3));
    assert_eq!(place.token().await, "t2");
}

#[tokio::test]
async fn a_token_that_lives_is_used_where_it_cannot_be_replaced() {
    let place = Place::new();
    place.token().await;
    place.time.pass(HOUR.mul_f64(0.9));
    let cache = place.cache("");
    let failing = cache.token(None, Box::pin(async { Err(Error::configuration("down")) })).await;
    assert_eq!(failing.unwrap().access_token.reveal(), "t1");
    let lock = cache.try_lock().unwrap();
    assert_eq!(place.token().await, "t1", "another process replaces it now, and nobody waits for it");
    drop(lock);
    assert_eq!(place.token().await, "t2");
    place.time.pass(HOUR);
    assert!(cache.token(None, Box::pin(async { Err(Error::configuration("down")) })).await.is_err());
}

#[tokio::test]
async fn a_refused_token_is_not_answered_again() {
    let place = Place::new();
    place.token().await;
    let refused = AccessToken::granted(Zeroizing::new("t1".to_owned())).unwrap();
    let cache = place.cache("");
    let grant = cache.token(Some(&refused), Box::pin(async { Ok(place.grant()) })).await.unwrap();
    assert_eq!((grant.access_token.reveal(), place.token().await.as_str()), ("t2", "t2"));
}

#[tokio::test]
async fn a_step_of_the_calendar_changes_nothing_until_the_next_boot() {
    let place = Place::new();
    place.token().await;
    place.time.step_wall(Timestamp::from_unix_millis(0));
    assert_eq!(place.token().await, "t1");
    let after_boot = |place: &Place| DiskCache { boot: "b2".to_owned(), ..place.cache("") };
    assert_eq!(place.ask(&after_boot(&place)).await.unwrap().access_token.reveal(), "t2", "from the future");
    place.time.pass(HOUR / 2);
    assert_eq!(place.ask(&DiskCache { boot: "b3".to_owned(), ..place.cache("") }).await.unwrap().life, Some(HOUR / 2));
}

#[tokio::test]
async fn a_damaged_file_is_replaced() {
    for damage in [&b""[..], b"{\"key\":\"", b"<html>", b"{}", &[0xff; 100], &vec![b'x'; 200_000]] {
        let place = Place::new();
        place.token().await;
        std::fs::write(place.file(), damage).unwrap();
        assert_eq!((place.token().await, place.token().await), ("t2".to_owned(), "t2".to_owned()));
    }
    let place = Place::new();
    place.token().await;
    place.ask(&place.cache("orders:read")).await.unwrap();
    std::fs::copy(place.cache("orders:read").path("json"), place.file()).unwrap();
    assert_eq!(place.token().await, "t3", "another client's file is not this one's");
}

#[tokio::test]
async fn what_others_can_open_or_own_is_refused_with_its_place() {
    let place = Place::new();
    place.token().await;
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for (path, right) in [(place.file(), 0o600), (place.folder(), 0o700)] {
        set(&path, 0o744);
        let error = place.ask(&place.cache("")).await.unwrap_err().to_string();
        assert!(
            error.contains(path.to_str().unwrap()) && error.contains("can be opened by others (mode 744)"),
            "{error}"
        );
        set(&path, right);
    }
    // Only root can give a file away; the kernel's own files are root's, which is somebody else to all others.
    let somebody = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(place.file(), Some(65534), None).unwrap();
        place.file()
    } else {
        PathBuf::from("/proc/version")
    };
    let error = check_owner(&std::fs::metadata(&somebody).unwrap(), &somebody).unwrap_err().to_string();
    assert!(error.contains("belongs to the user with the number") && error.contains("--no-cache"), "{error}");
    std::fs::remove_dir_all(place.folder()).unwrap();
    std::fs::write(place.folder(), "").unwrap();
    assert!(place.ask(&place.cache("")).await.unwrap_err().to_string().contains("cannot be made"));
}

#[tokio::test]
async fn a_place_that_takes_no_files_costs_a_token_request_each_time() {
    let place = Place::new();
    let nowhere = || DiskCache { folder: PathBuf::from("/proc/self/tokens"), ..place.cache("") };
    assert_eq!(place.ask(&nowhere()).await.unwrap().access_token.reveal(), "t1");
    assert_eq!(place.ask(&nowhere()).await.unwrap().access_token.reveal(), "t2");
    // The same, found out only when it is to be locked: a name that leads to nowhere.
    place.token().await;
    std::fs::remove_file(place.file()).unwrap();
    std::fs::remove_file(place.cache("").path("lock")).unwrap();
    std::os::unix::fs::symlink("/proc/self/lock", place.cache("").path("lock")).unwrap();
    assert_eq!(place.token().await, "t4");
}
