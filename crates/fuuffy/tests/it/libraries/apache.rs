//! A resource server that is not ours: Apache with mod_auth_openidc, which asks our introspection about each token.
//! `./check` installs both.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

use super::{Secured, own_address};
use crate::app::{Registered, get};

const APACHE: &str = "/usr/sbin/apache2";
const MODULES: &str = "/usr/lib/apache2/modules";

/// An Apache of the test's own. It ends when it is dropped.
struct Apache {
    child: Child,
    address: SocketAddr,
    /// Kept open, for Apache writes to it.
    _log: BufReader<ChildStderr>,
    _folder: TempDir,
}

/// A folder that Apache reads also as the user that it becomes where root starts it.
fn folder(authority: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let readable = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    readable(folder.path(), 0o755);
    std::fs::copy(authority, folder.path().join("ca.pem")).unwrap();
    readable(&folder.path().join("ca.pem"), 0o644);
    std::fs::write(folder.path().join("orders"), "two orders").unwrap();
    readable(&folder.path().join("orders"), 0o644);
    folder
}

impl Apache {
    /// One that lets in whoever's token has the scope `orders:read`, as this client is told.
    fn start(gateway: &Secured, client: &Registered, port: u16) -> Self {
        assert!(Path::new(MODULES).join("mod_auth_openidc.so").exists(), "mod_auth_openidc is not there, run ./check");
        let (folder, address) = (folder(&gateway.authority()), own_address(port));
        let here = folder.path().display();
        let mut config = format!(
            "ServerName localhost\nServerRoot {here}\nDefaultRuntimeDir {here}\nPidFile {here}/pid\nListen {address}\n\
             ErrorLog /dev/stderr\nUser nobody\nGroup nogroup\nDocumentRoot {here}\n"
        );
        for name in ["mpm_event", "authn_core", "authz_core", "auth_openidc"] {
            config.push_str(&format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
        }
        // Without the interval of -1 an answer would be kept until the token expires.
        config.push_str(&format!(
            "OIDCOAuthIntrospectionEndpoint {}/oauth/introspect\nOIDCOAuthIntrospectionEndpointAuth client_secret_basic\n\
             OIDCOAuthClientID {}\nOIDCOAuthClientSecret {}\nOIDCOAuthTokenIntrospectionInterval -1\n\
             OIDCOAuthRemoteUserClaim client_id\nOIDCCABundlePath {here}/ca.pem\n\
             <Location />\nAuthType oauth20\nRequire claim \"scope~(^| )orders:read( |$)\"\n</Location>\n",
            gateway.issuer, client.id, client.secret
        ));
        let file = gateway.place.path("apache.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(APACHE);
        command.arg("-DFOREGROUND").arg("-f").arg(&file).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("resuming normal operations") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "Apache did not start: {said}");
        }
        Self { child, address, _log: log, _folder: folder }
    }

    /// What a caller with a token is answered: the status, and whether there were orders.
    fn ask(&self, token: &str) -> (u16, bool) {
        let reply = get(self.address, "/orders", token);
        (reply.status, reply.text() == "two orders")
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        // Its workers end with it, which they would not if it were killed.
        let _ = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

#[test]
fn apache_lets_in_whoever_has_a_right_token_alone() {
    let gateway = Secured::serve(8461);
    let api = gateway.place.client_with("testing", &["--scope", "introspect"]);
    let apache = Apache::start(&gateway, &api, 8462);
    let caller = gateway.place.client("testing");
    let token = gateway.token(&caller, "orders:read orders:write");
    assert_eq!(apache.ask(&token), (200, true));
    let without_scope = gateway.token(&caller, "orders:write");
    assert_eq!(apache.ask(&without_scope), (401, false));
    for wrong in ["sk-00000000000000000000000000000000", "nonsense"] {
        assert_eq!(apache.ask(wrong), (401, false), "{wrong}");
    }
    assert_eq!(apache.ask(&token), (200, true), "the others changed nothing");
    gateway.place.done(&["tokens", "revoke", "--environment", "testing", "--client", &caller.id]);
    assert_eq!(apache.ask(&token), (401, false));
}

/// Whoever may not ask about others' tokens is told of none, and lets nobody in.
#[test]
fn apache_without_the_scope_lets_nobody_in() {
    let gateway = Secured::serve(8463);
    let apache = Apache::start(&gateway, &gateway.place.client("testing"), 8464);
    let token = gateway.token(&gateway.place.client("testing"), "orders:read");
    assert_eq!(apache.ask(&token), (401, false));
}
