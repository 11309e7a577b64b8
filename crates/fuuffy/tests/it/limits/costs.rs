//! Routes that take more, or nothing, from their clients' windows.

use std::time::Duration;

use crate::app::config;
use crate::http1::{Reply, request};
use crate::timed::Timed;
use crate::upstream::Upstream;

fn stands(reply: &Reply) -> (u16, String, Option<&str>) {
    let field = |name: &str| reply.field(name).unwrap_or_default().to_owned();
    let told = format!("{} {}", field("x-ratelimit-remaining"), field("x-ratelimit-limit"));
    (reply.status, told, reply.field("retry-after"))
}

#[test]
fn a_route_takes_what_it_costs_and_the_fields_stay_true() {
    let upstream = Upstream::friendly().address;
    let route = |prefix: &str, cost: u32| {
        format!(
            "[[environments.testing.routes]]\nprefix = \"/v1/{prefix}\"\nupstreams = [\"http://{upstream}\"]\ncost = {cost}\n"
        )
    };
    let plan = "[plans.standard]\nlimits = [\"10/min\", \"12/h\"]\n";
    let timed = Timed::serving(format!("{}{}{}{plan}", config(upstream), route("reports", 5), route("health", 0)));
    let token = timed.token();
    let get = |path: &str| request(timed.testing(), "GET", path, &[("authorization", &format!("Bearer {token}"))], "");
    assert_eq!(stands(&get("/v1/health")), (200, "10 10".to_owned(), None));
    assert_eq!(stands(&get("/v1/reports")), (200, "5 10".to_owned(), None));
    assert_eq!(stands(&get("/v1/orders")), (200, "4 10".to_owned(), None));
    // Four are left in the minute: too few for what costs five, enough for what costs one.
    assert_eq!(stands(&get("/v1/reports")), (429, "4 10".to_owned(), Some("60")));
    assert_eq!(stands(&get("/v1/orders")), (200, "3 10".to_owned(), None));
    timed.time.pass(Duration::from_secs(60));
    assert_eq!(stands(&get("/v1/reports")), (200, "0 12".to_owned(), None));
    let refused = get("/v1/reports");
    assert_eq!(stands(&refused), (429, "0 12".to_owned(), Some("3540")));
    assert_eq!(refused.field("ratelimit"), Some(r#""minute";r=5;t=60, "hour";r=0;t=3540"#));
    assert_eq!(stands(&get("/v1/health")), (200, "0 12".to_owned(), None), "what costs nothing is not refused");
    timed.time.pass(Duration::from_secs(3540));
    let token = timed.token();
    let again = request(timed.testing(), "GET", "/v1/reports", &[("authorization", &format!("Bearer {token}"))], "");
    assert_eq!(stands(&again), (200, "5 10".to_owned(), None), "whoever waits is let in");
}
