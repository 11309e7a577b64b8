//! A real GNOME Keyring on a D-Bus of its own, with a home of its own.

use std::process::Stdio;

use futures_util::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::zvariant::ObjectPath;

const NAME: &str = "org.freedesktop.secrets";
const SERVICE: &str = "/org/freedesktop/secrets";
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";

/// A D-Bus session that starts nothing by itself. It ends when it is dropped.
pub(crate) struct Bus {
    pub(crate) address: String,
    folder: tempfile::TempDir,
    _daemon: Child,
}

/// A keyring on it. It ends when it is dropped.
pub(crate) struct GnomeKeyring {
    pub(crate) bus: Bus,
    connection: zbus::Connection,
    _daemon: Child,
}

impl Bus {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("bus.conf");
        let listen = folder.path().display();
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
                "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig>
              <type>session</type><listen>unix:dir={listen}</listen><auth>EXTERNAL</auth>
              <policy context="default">
                <allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/>
              </policy>
            </busconfig>"#
        );
        std::fs::write(&configuration, text).unwrap();
        let mut daemon = started(
            Command::new("dbus-daemon")
                .arg("--config-file")
                .arg(&configuration)
                .args(["--nofork", "--nopidfile", "--print-address=1"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
        let address = lines.next_line().await.unwrap().expect("dbus-daemon tells its address");
        Self { address, folder, _daemon: daemon }
    }

    /// A program on this bus, at home in the bus's folder.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("DISPLAY");
        command
    }
}

impl GnomeKeyring {
    /// A keyring that is unlocked.
    pub(crate) async fn start() -> Self {
        let bus = Bus::start().await;
        let connection = zbus::connection::Builder::address(bus.address.as_str()).unwrap().build().await.unwrap();
        let names = DBusProxy::new(&connection).await.unwrap();
        let mut owned = names.receive_name_owner_changed_with_args(&[(0, NAME)]).await.unwrap();
        let mut daemon = started(
            bus.program("gnome-keyring-daemon")
                .args(["--foreground", "--unlock", "--components=secrets"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        daemon.stdin.take().unwrap().write_all(b"password").await.unwrap();
        if !names.name_has_owner(BusName::try_from(NAME).unwrap()).await.unwrap() {
            owned.next().await.unwrap();
        }
        Self { bus, connection, _daemon: daemon }
    }

    /// Runs a command as a person would, and types the secret.
    pub(crate) async fn store(&self, command: &str, secret: &str) {
        let mut shell = started(self.bus.program("sh").args(["-c", command]).stdin(Stdio::piped()));
        shell.stdin.take().unwrap().write_all(secret.as_bytes()).await.unwrap();
        assert!(shell.wait().await.unwrap().success(), "{command}");
    }

    /// Locks it, as a screen that is locked does.
    pub(crate) async fn lock(&self) {
        let login = vec![ObjectPath::try_from(LOGIN).unwrap()];
        let interface = Some("org.freedesktop.Secret.Service");
        self.connection.call_method(Some(NAME), SERVICE, interface, "Lock", &login).await.unwrap();
    }
}

/// A program that runs, until it is dropped.
fn started(command: &mut Command) -> Child {
    let child = command.kill_on_drop(true).spawn();
    let program = command.as_std().get_program().display().to_string();
    child.unwrap_or_else(|error| panic!("{program} cannot be run ({error}); run ./check-needs"))
}
