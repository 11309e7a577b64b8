//! Route matching against a naive model, and paths that are refused.

use proptest::prelude::*;

use super::*;

fn table(prefixes: &[&str]) -> RouteTable {
    let route =
        |prefix: &&str| Route { prefix: (*prefix).to_owned(), read: ScopeSet::default(), write: ScopeSet::default() };
    RouteTable::new(prefixes.iter().map(route).collect()).unwrap()
}

fn find(table: &RouteTable, path: &str) -> Option<usize> {
    table.find(&Method::GET, MatchedPath::check(path).unwrap()).map(|found| found.index)
}

#[test]
fn the_longest_prefix_of_whole_segments_wins() {
    let table = table(&["/v1", "/v1/orders", "/v1/orders/export"]);
    assert_eq!(find(&table, "/v1/orders/export"), Some(2));
    assert_eq!(find(&table, "/v1/orders/exports"), Some(1));
    assert_eq!(find(&table, "/v1/ordersx"), Some(0));
    assert_eq!(find(&table, "/v2"), None);
}

#[test]
fn ambiguous_paths_are_refused() {
    for path in [
        "",
        "v1",
        "*",
        "//",
        "/v1//x",
        "/v1/../x",
        "/v1/.",
        "/v1/..;a/x",
        "/v1/%2e%2E/x",
        "/%761",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a%+1",
    ] {
        assert_eq!(MatchedPath::check(path).err(), Some(AmbiguousPath), "{path}");
    }
    for path in ["/", "/v1/a%20b", "/v1/.well-known", "/v1/a..b", "/v1/%C3%A4"] {
        assert!(MatchedPath::check(path).is_ok(), "{path}");
    }
}

#[test]
fn odd_prefixes_are_refused() {
    for prefix in ["", "v1", "/v1/", "/v1//x", "/v1/..", "/v1/%20", "/v1?x"] {
        let route = Route { prefix: prefix.to_owned(), read: ScopeSet::default(), write: ScopeSet::default() };
        assert_eq!(RouteTable::new(vec![route]).err(), Some((0, RouteFault::Prefix)), "{prefix}");
    }
}

proptest! {
    #[test]
    fn matching_agrees_with_a_naive_model(
        prefixes in prop::collection::hash_set("(/[ab]{1,2}){1,3}", 1..6),
        path in "(/[ab]{1,2}){1,4}",
    ) {
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let naive = prefixes.iter().enumerate()
            .filter(|(_, prefix)| format!("{path}/").starts_with(&format!("{prefix}/")))
            .max_by_key(|(_, prefix)| prefix.len())
            .map(|(index, _)| index);
        prop_assert_eq!(find(&table(&prefixes), &path), naive);
    }

    #[test]
    fn any_path_is_matched_or_refused(path in any::<String>()) {
        if let Ok(path) = MatchedPath::check(&path) {
            let _ = table(&["/"]).find(&Method::POST, path);
        }
    }
}
