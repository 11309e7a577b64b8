//! No token and no secret is anywhere but in the answer that gave it: not in the log, the error output,
//! the data directory or the arguments of the process; not even twelve characters of one.

use std::path::Path;

use crate::app::{Place, ask_for_token, config, get, post_form, token, token_form};
use crate::http1::{exchange, request};
use crate::upstream::Upstream;

/// Characters in a row that would be too many.
const TOO_MANY: usize = 12;

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { files(&entry.path()) } else { vec![entry.path()] }
        })
        .collect()
}

pub(crate) fn find_leak(bytes: &[u8], secrets: &[String]) -> Option<String> {
    let windows: std::collections::HashSet<&[u8]> = secrets
        .iter()
        .flat_map(|secret| {
            secret.trim_start_matches("fsk_test_").trim_start_matches("sk-").as_bytes().windows(TOO_MANY)
        })
        .collect();
    bytes.windows(TOO_MANY).find(|window| windows.contains(window)).map(|it| String::from_utf8_lossy(it).into_owned())
}

#[test]
fn a_full_run_leaks_nothing() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.try_serve(&[("FUUFFY_LOG", "trace")]).unwrap();
    let to = server.testing;
    let mut secrets = Vec::new();
    let mut words = Vec::new();

    let client = place.client("testing");
    secrets.push(client.secret.clone());
    let bearer = token(to, &client);
    get(to, "/v1/orders", &bearer);
    get(to, &format!("/v1/orders?access_token={bearer}"), &bearer);
    request(to, "GET", "/v1/orders", &[("authorization", &format!("Basic {bearer}"))], "");
    exchange(
        to,
        format!(
            "GET /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\nbad field: {bearer}\r\n\r\n"
        ),
    );
    post_form(to, &format!("/v1/auth/token?client_secret={}", client.secret), &token_form(&client));
    post_form(to, "/v1/auth/token", &(token_form(&client) + &format!("&scope={}", client.secret)));
    post_form(to, "/v1/auth/token", &(token_form(&client) + "&client_secret=again"));
    get(server.production, "/v1/orders", &bearer);
    ask_for_token(server.production, &client);
    secrets.push(bearer);
    let added = place.done(&["secrets", "add", "--environment", "testing", "--client", &client.id]);
    secrets.push(added["client_secret"].as_str().unwrap().to_owned());
    words.push(place.command(&["secrets", "list", "--environment", "testing", "--client", &client.id]).stdout);
    words.push(place.command(&["clients", "create", "--environment", "testing", "--name", "x", "--json"]).stderr);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    words.push(arguments);
    words.push(request(server.admin, "GET", "/metrics", &[], "").body);
    // The write-ahead log is looked at before a clean end would empty it.
    for file in files(&place.path("data")).into_iter().filter(|file| !file.ends_with("admin.sock")) {
        words.push(std::fs::read(file).unwrap());
    }
    assert!(server.stop().success());
    for file in files(&place.path("data")) {
        words.push(std::fs::read(file).unwrap());
    }
    words.push(place.log().into_bytes());

    assert!(find_leak(format!("so: {}", secrets[0]).as_bytes(), &secrets).is_some(), "the search finds what there is");
    for text in words {
        if let Some(leak) = find_leak(&text, &secrets) {
            panic!("{leak} leaked into {}", String::from_utf8_lossy(&text));
        }
    }
}
