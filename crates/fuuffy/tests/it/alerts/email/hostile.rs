//! Whatever a mail server does, it costs one bounded task, and nothing goes in clear that should not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

use super::{place, section, tested, write};

/// What a server says, one after the other: its greeting, and then an answer to each command.
type Script = &'static [&'static str];

/// A server that says what it is told to, and passes on what it hears. Where its script ends, it says nothing more.
fn server(script: Script) -> (u16, Receiver<String>) {
    serve(move |mut stream, heard| {
        let mut commands = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        for words in script {
            if stream.write_all(words.as_bytes()).is_err() {
                return;
            }
            let Some(command) = commands.next() else { return };
            let _ = heard.send(command);
        }
        // Held open until the other side goes.
        commands.for_each(|command| drop(heard.send(command)));
    })
}

fn serve(talk: impl Fn(TcpStream, &Sender<String>) + Send + 'static) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, (told, heard)) = (listener.local_addr().unwrap().port(), channel());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            talk(stream.unwrap(), &told);
        }
    });
    (port, heard)
}

/// What an operator is told of a test by this server.
fn said(port: u16, tls: &str) -> String {
    let place = place();
    write(&place, &section(port, tls, ""));
    let said = tested(&place, "ca.pem").unwrap_err();
    said.strip_prefix("The test alert was not taken: email: ").unwrap().trim_end().to_owned()
}

#[test]
fn no_starttls_is_no_letter() {
    let (port, heard) = server(&["220 hello\r\n", "250-mail\r\n250 SIZE 1000\r\n"]);
    assert_eq!(said(port, "required"), "the mail server offers no STARTTLS, and nothing is sent in clear");
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["EHLO example.com"]);
}

/// Words that came before TLS must not count as said under it (CVE-2011-0411 and its like).
#[test]
fn words_behind_the_answer_to_starttls_are_refused() {
    let script = &["220 hello\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go on\r\n250 forged\r\n"];
    let (port, heard) = server(script);
    assert_eq!(said(port, "required"), "the mail server said more in clear than it was asked");
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["EHLO example.com", "STARTTLS"]);
}

#[test]
fn refusals_are_told_with_what_was_refused() {
    for (script, expected) in [
        (&["554 go away\r\n"][..], "the mail server greeted with 554 go away"),
        (&["220 hello\r\n", "502 what\r\n"], "the mail server answered EHLO with 502 what"),
        (
            &["220 hello\r\n", "250-mail\r\n250-   \r\n250 HELP\r\n", "451-not\r\n451 now\u{7}\r\n"],
            "the mail server answered MAIL FROM with 451 not now ",
        ),
        (
            &["220 hello\r\n", "250 mail\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "554 no\r\n"],
            "the mail server answered DATA with 554 no",
        ),
        (&["hello\r\n"], "the mail server said what is no answer"),
        (&["220\r\n", "\r\n"], "the mail server said what is no answer"),
        (&["250 \u{fffd}\r\n"], "the mail server greeted with 250 \u{fffd}"),
    ] {
        assert_eq!(said(server(script).0, "none"), expected.trim_end(), "{script:?}");
    }
}

#[test]
fn one_that_hangs_costs_twenty_seconds() {
    let started = Instant::now();
    assert_eq!(said(server(&[]).0, "none"), "the mail server did not take the letter within 20 s");
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn one_that_talks_for_ever_is_cut_off() {
    for (words, tls) in [("220-hello\r\n", "none"), ("x", "required")] {
        let (port, written) = serve(move |mut stream, written| {
            let mut total = 0;
            while stream.write_all(words.repeat(500).as_bytes()).is_ok() {
                total += 500 * words.len();
            }
            let _ = written.send(total.to_string());
        });
        let expected = "the mail server closed the connection, or said more than 65536 bytes";
        assert_eq!(said(port, tls), expected);
        // What the kernel holds on both sides comes on top.
        let total: usize = written.recv_timeout(Duration::from_secs(60)).unwrap().parse().unwrap();
        assert!(total < 16 << 20, "{total}");
    }
}

#[test]
fn a_private_address_is_refused_unless_it_is_allowed() {
    let (port, heard) = server(&["220 hello\r\n"]);
    let place = place();
    let refused = |server: &str, tls: &str| {
        let section = section(port, tls, "").replace("allow_private = true\n", "");
        write(&place, &section.replace("localhost", server));
        tested(&place, "ca.pem").unwrap_err()
    };
    for (server, tls) in [("localhost", "required"), ("127.0.0.1", "implicit"), ("[::ffff:127.0.0.1]", "none")] {
        let said = refused(server, tls);
        assert!(said.contains("is a private address, and allow_private is not true"), "{said}");
    }
    let said = refused("169.254.169.254", "required");
    assert!(said.contains("169.254.169.254 is an address at which no mail server can be"), "{said}");
    assert!(heard.try_recv().is_err());
}
