//! Limits as people write them, and windows against a naive model.

use proptest::prelude::*;

use super::*;

#[test]
fn impossible_limits_are_refused() {
    for bad in ["", "100", "-1/s", "+1/s", "5/week", "5/", "/min", "1.5/s", "1 /s"] {
        assert_eq!(Limit::parse(bad), Err(LimitFault::Text), "{bad}");
    }
    for bad in ["0/min", "00/d"] {
        assert_eq!(Limit::parse(bad), Err(LimitFault::Zero), "{bad}");
    }
    for bad in
        ["1000000000/s", "100000001/s", "1000000001/min", "1000000001/d", "4294967297/h", "99999999999999999999/h"]
    {
        assert_eq!(Limit::parse(bad), Err(LimitFault::TooMany), "{bad}");
    }
    for good in ["100/min", "100000000/s", "1000000000/min", "1/h"] {
        assert_eq!(String::from(Limit::parse(good).unwrap()), good);
    }
}

#[test]
fn limits_are_a_list_of_different_units() {
    assert_eq!(Limits::parse("200/min 5000/h").unwrap().to_string(), "200/min 5000/h");
    assert_eq!(Limits::parse("200/min 5/min"), Err(LimitsFault::Repeated));
    for bad in ["", " ", "200/min  5/h", "200/min,5/h", "200/min "] {
        assert_eq!(Limits::parse(bad), Err(LimitsFault::Limit(LimitFault::Text)), "{bad:?}");
    }
}

#[test]
fn a_window_starts_with_what_is_taken_from_it_first() {
    let plan = plan(&[(1, 60), (5, 1)]);
    let mut state = LimitState::default();
    let at = |seconds| Timestamp::from_unix_millis(1_000_000).after(Duration::from_secs(seconds));
    assert_eq!(state.take(&plan, 1, at(0)).wait, None);
    // What is refused starts no window, and neither does what costs nothing.
    assert_eq!(state.take(&plan, 1, at(30)).wait, Some(Duration::from_secs(30)));
    assert_eq!(state.take(&plan, 0, at(59)).wait, None);
    assert_eq!(state.take(&plan, 1, at(60)).standings[1].resets_at, at(61));
}

/// Two threads read the clock, and the one that read it first comes last.
#[test]
fn a_request_that_comes_late_opens_no_window() {
    let plan = plan(&[(2, 60)]);
    let mut state = LimitState::default();
    let now = Timestamp::from_unix_millis(1_000_000);
    let taken =
        [1, 0, 1, 0].map(|millis| state.take(&plan, 1, now.after(Duration::from_millis(millis))).wait.is_none());
    assert_eq!(taken, [true, true, false, false]);
}

/// What was taken since the window began, by the naive model: each request with its time.
type Taken = Vec<(Timestamp, u32)>;

fn plan(limits: &[(u32, u32)]) -> Plan {
    Plan::of(limits.iter().map(|(requests, seconds)| Limit { requests: *requests, seconds: *seconds }).collect())
}

proptest! {
    /// The model keeps every request that was let through. What was taken in what is now the future was taken now; a
    /// window is over when its first request is as long ago as the window is long.
    #[test]
    fn waiting_it_out_is_enough_and_nothing_more_is_let_through(
        steps in prop::collection::vec((prop_oneof![8 => 0_i64..1500, 1 => -90_000_i64..0, 1 => 0_i64..4_000_000], 0_u32..5), 1..200),
        sizes in prop::collection::vec(1_u32..12, 0..4),
    ) {
        let limits: Vec<(u32, u32)> = sizes.iter().copied().zip([1, 60, 3600, 86_400]).collect();
        let plan = plan(&limits);
        let mut state = LimitState::default();
        let mut now = Timestamp::from_unix_millis(1_000_000_000);
        let mut model: Vec<Taken> = vec![Vec::new(); limits.len()];
        for (step, cost) in steps {
            now = Timestamp::from_unix_millis(now.unix_millis() + step);
            for (taken, limit) in model.iter_mut().zip(&plan.limits) {
                taken.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
                if taken.first().is_some_and(|(at, _)| now.since(*at).as_secs() >= u64::from(limit.seconds)) {
                    taken.clear();
                }
            }
            let used = |taken: &Taken| taken.iter().map(|(_, cost)| cost).sum::<u32>();
            let fits = model.iter().zip(&plan.limits).all(|(taken, limit)| used(taken) + cost.min(limit.requests) <= limit.requests);
            let verdict = state.take(&plan, cost, now);
            prop_assert_eq!(verdict.wait.is_none(), fits);
            match verdict.wait {
                None if cost > 0 => for (taken, limit) in model.iter_mut().zip(&plan.limits) {
                    taken.push((now, cost.min(limit.requests)));
                },
                None => {}
                Some(wait) => {
                    let tightest = verdict.tightest().unwrap();
                    prop_assert_eq!(tightest.resets_at, now.after(wait));
                    prop_assert!(wait <= Duration::from_secs(tightest.limit.seconds.into()), "closed for longer than the window");
                    prop_assert!(state.clone().take(&plan, cost, now.after(wait)).wait.is_none(), "waited in vain");
                    let early = Timestamp::from_unix_millis(now.after(wait).unix_millis() - 1);
                    prop_assert!(state.clone().take(&plan, cost, early).wait.is_some(), "told to wait too long");
                }
            }
            for (standing, (taken, limit)) in verdict.standings.iter().zip(model.iter().zip(&plan.limits)) {
                prop_assert_eq!(standing.remaining, limit.requests - used(taken));
                let began = taken.first().map_or(now, |(at, _)| *at);
                prop_assert_eq!(standing.resets_at, began.after(Duration::from_secs(limit.seconds.into())));
            }
        }
    }
}
