//! Limits as people write them, and windows against a naive model.

use proptest::prelude::*;

use super::*;

#[test]
fn impossible_limits_are_refused() {
    for bad in ["", "100", "0/min", "-1/s", "+1/s", "1000000001/s", "5/week", "5/", "/min", "1.5/s"] {
        assert_eq!(Limit::parse(bad), Err(LimitFault), "{bad}");
    }
    assert_eq!(String::from(Limit::parse("100/min").unwrap()), "100/min");
}

proptest! {
    /// The model keeps every request that was let through and counts those since its window began.
    #[test]
    fn waiting_it_out_is_enough_and_nothing_more_is_let_through(
        steps in prop::collection::vec(0_u64..1500, 1..200),
        small in 1_u32..6,
        large in 1_u32..12,
    ) {
        let plan = Plan { limits: vec![Limit { requests: small, seconds: 1 }, Limit { requests: large, seconds: 60 }] };
        let mut state = LimitState::default();
        let mut now = Timestamp::from_unix_millis(1_000_000);
        let mut model: Option<Vec<(Timestamp, u32)>> = None;
        for step in steps {
            now = now.after(Duration::from_millis(step));
            let model = model.get_or_insert_with(|| vec![(now, 0); 2]);
            for (window, limit) in model.iter_mut().zip(&plan.limits) {
                if now.since(window.0).as_secs() >= u64::from(limit.seconds) {
                    *window = (now, 0);
                }
            }
            let fits = model.iter().zip(&plan.limits).all(|(window, limit)| window.1 < limit.requests);
            let verdict = state.take(&plan, now);
            prop_assert_eq!(verdict.wait.is_none(), fits);
            if fits {
                model.iter_mut().for_each(|window| window.1 += 1);
            } else {
                let waited = now.after(verdict.wait.unwrap());
                prop_assert!(state.clone().take(&plan, waited).wait.is_none());
            }
            for (standing, (window, limit)) in verdict.standings.iter().zip(model.iter().zip(&plan.limits)) {
                prop_assert_eq!(standing.remaining, limit.requests - window.1);
            }
        }
    }
}
