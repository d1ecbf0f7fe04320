use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn broken() -> Outcome {
    Outcome::Broken("refused".to_owned(), true)
}

#[tokio::test]
async fn a_host_that_is_down_is_left_alone_and_then_asked_once() {
    let (mut sky, start) = (Sky::new(), Instant::now());
    for _ in 0..FAILURES {
        assert_eq!(sky.ask(start), Ok(()));
        sky.note(&broken(), start, start);
    }
    let down = Err(Closed::Down("refused".to_owned()));
    assert_eq!(sky.ask(start + LEFT_ALONE - SECOND), down);
    let later = start + LEFT_ALONE;
    assert_eq!(sky.ask(later), Ok(()), "one finds out");
    assert_eq!(sky.ask(later), down, "and only one");
    sky.note(&broken(), later, later);
    assert_eq!(sky.ask(later + SECOND), down);
    let again = later + LEFT_ALONE;
    assert_eq!(sky.ask(again), Ok(()));
    sky.note(&Outcome::Answered, again, again);
    assert_eq!((sky.ask(again), sky.ask(again)), (Ok(()), Ok(())), "it is back");
}

#[tokio::test]
async fn answers_in_between_mean_that_it_is_not_down() {
    let (mut sky, now) = (Sky::new(), Instant::now());
    for _ in 0..10 * FAILURES {
        sky.note(&broken(), now, now);
        sky.note(&Outcome::Overloaded, now, now);
    }
    assert_eq!(sky.ask(now), Ok(()));
}

#[tokio::test]
async fn a_pause_holds_for_everybody_and_only_grows() {
    let (mut sky, now) = (Sky::new(), Instant::now());
    sky.note(&Outcome::Paused(429, Some(30 * SECOND)), now, now);
    sky.note(&Outcome::Paused(429, None), now, now);
    assert_eq!(sky.ask(now + 10 * SECOND), Err(Closed::Paused(429, 20 * SECOND)));
    assert_eq!(sky.ask(now + 30 * SECOND), Ok(()));
    sky.note(&Outcome::Paused(429, Some(Duration::from_secs(u64::MAX))), now, now);
    assert_eq!(sky.ask(now + LONGEST_PAUSE), Ok(()), "nobody is believed for ever");
    let told = Closed::Paused(503, Duration::from_millis(1500)).told("reg.io");
    assert_eq!(told.kind, UnresolvedKind::RateLimited { retry_after_seconds: Some(2) });
    assert_eq!(told.detail, "reg.io answered 503 and asked for a pause, which lasts another 2 s");
}

#[tokio::test]
async fn tries_are_paid_by_answers() {
    let (mut sky, now) = (Sky::new(), Instant::now());
    let saved = (0..100).filter(|_| sky.pay()).count();
    assert_eq!(saved, usize::try_from(SAVINGS / PRICE).unwrap());
    for _ in 0..PRICE {
        assert!(!sky.pay());
        sky.note(&Outcome::Overloaded, now, now);
        sky.note(&Outcome::Answered, now, now);
    }
    assert!(sky.pay() && !sky.pay(), "five answers, one try");
}

#[test]
fn another_try_is_made_only_where_it_may_help() {
    let quick = Duration::from_millis(5);
    let ms = |ms| Some(Duration::from_millis(ms));
    for (name, outcome, nth, elapsed, expected) in [
        ("answered", Outcome::Answered, 0, quick, None),
        ("overloaded", Outcome::Overloaded, 0, quick, ms(50)),
        ("overloaded twice", Outcome::Overloaded, 1, quick, ms(200)),
        ("overloaded three times", Outcome::Overloaded, 2, quick, ms(500)),
        ("overloaded once more", Outcome::Overloaded, 3, quick, ms(500)),
        ("a pause", Outcome::Paused(429, Some(2 * SECOND)), 0, quick, ms(2050)),
        ("a pause without an end", Outcome::Paused(429, None), 0, quick, ms(1050)),
        ("a second pause", Outcome::Paused(429, None), 1, quick, ms(1050)),
        ("broken", broken(), 0, quick, ms(0)),
        ("broken twice", broken(), 1, quick, None),
        ("broken after long", broken(), 0, QUICK, None),
        ("a certificate", Outcome::Broken("expired".to_owned(), false), 0, quick, None),
    ] {
        assert_eq!(wait(&outcome, nth, elapsed, 0.5), expected, "{name}");
    }
    assert!((0..100).map(|_| random()).all(|one| (0.0..=1.0).contains(&one)));
    assert!(random().to_bits() != random().to_bits());
}

#[tokio::test]
async fn requests_to_one_host_wait_for_each_other_until_the_deadline() {
    let weather = Weather::new();
    let deadline = Instant::now() + Duration::from_millis(200);
    let mut under_way = Vec::new();
    for _ in 0..IN_FLIGHT {
        under_way.push(weather.enter("reg.io", Limits::default(), deadline).await.ok().unwrap());
    }
    assert!(weather.enter("other.io", Limits::default(), deadline).await.is_ok());
    let failed = weather.enter("reg.io", Limits::default(), deadline).await.err().unwrap();
    assert_eq!(failed.kind, UnresolvedKind::Timeout);
    assert_eq!(failed.detail, "32 requests to reg.io are under way, and none ended before the deadline");
    drop(under_way.pop());
    assert!(weather.enter("reg.io", Limits::default(), Instant::now() + SECOND).await.is_ok());
}

#[tokio::test]
async fn a_host_has_limits_of_its_own() {
    let weather = Weather::new();
    let limits = Limits { in_flight: Some(1), tries: Some(2) };
    let soon = || Instant::now() + Duration::from_millis(100);
    let only = weather.enter("reg.io", limits, soon()).await.ok().unwrap();
    let failed = weather.enter("reg.io", limits, soon()).await.err().unwrap();
    assert!(failed.detail.starts_with("1 requests to reg.io are under way"), "{failed}");
    let deadline = Instant::now() + 10 * SECOND;
    let mut repeats = Repeats::default();
    assert!(only.tell(&Outcome::Overloaded, &mut repeats, Duration::ZERO, deadline).is_some());
    let again = weather.enter("reg.io", limits, soon()).await.ok().unwrap();
    assert_eq!(again.tell(&Outcome::Overloaded, &mut repeats, Duration::ZERO, deadline), None, "two tries");
    let _held = weather.enter("reg.io", limits, soon()).await.ok().unwrap();
    weather.forget();
    let more = Limits { in_flight: Some(2), tries: None };
    assert!(weather.enter("reg.io", more, soon()).await.is_ok(), "new limits hold at once");
}

#[tokio::test]
async fn there_must_be_time_for_another_try() {
    let weather = Weather::new();
    let now = Instant::now();
    let tell = async |outcome: Outcome, left: Duration| {
        let pass = weather.enter("reg.io", Limits::default(), now + SECOND).await.ok().unwrap();
        pass.tell(&outcome, &mut Repeats::default(), Duration::ZERO, now + left)
    };
    assert_eq!(tell(broken(), SECOND).await, Some(Duration::ZERO));
    assert_eq!(tell(broken(), FOR_AN_ANSWER).await, None);
    assert_eq!(tell(Outcome::Paused(429, Some(5 * SECOND)), 10 * SECOND).await, None);
    assert!(
        weather.enter("reg.io", Limits::default(), now + SECOND).await.is_err(),
        "all are told of the pause"
    );
}

#[tokio::test]
async fn requests_that_fail_together_are_one_failure() {
    let (mut sky, start) = (Sky::new(), Instant::now());
    for _ in 0..10 * FAILURES {
        sky.note(&broken(), start, start + SECOND);
    }
    assert_eq!(sky.ask(start + SECOND), Ok(()));
    for nth in 0..FAILURES {
        sky.note(&broken(), start + (1 + nth) * SECOND, start + (2 + nth) * SECOND);
    }
    assert!(sky.ask(start + FAILURES * SECOND).is_err());
}

#[tokio::test]
async fn what_no_connection_came_to_costs_nothing() {
    let weather = Weather::new();
    let deadline = Instant::now() + 10 * SECOND;
    let mut repeats = Repeats::default();
    let mut tell = async |outcome: Outcome| {
        let pass = weather.enter("reg.io", Limits::default(), deadline).await.ok().unwrap();
        pass.tell(&outcome, &mut repeats, Duration::ZERO, deadline)
    };
    for nth in 0..=UNASKED_TRIES {
        let again = (nth < UNASKED_TRIES).then_some(Duration::ZERO);
        assert_eq!(tell(Outcome::Unasked).await, again, "{nth}");
    }
    assert_eq!(tell(broken()).await, Some(Duration::ZERO), "another failure is still tried again");
    assert_eq!(tell(broken()).await, None, "once");
    assert_eq!(
        weather.enter("reg.io", Limits::default(), deadline).await.ok().unwrap().host.sky().savings,
        SAVINGS - PRICE
    );
}

#[tokio::test]
async fn a_short_pause_is_waited_for_by_all() {
    let weather = Weather::new();
    let start = Instant::now();
    let deadline = start + 5 * SECOND;
    let pass = weather.enter("reg.io", Limits::default(), deadline).await.ok().unwrap();
    let pause = Outcome::Paused(429, Some(SECOND));
    assert!(pass.tell(&pause, &mut Repeats::default(), Duration::ZERO, deadline).is_some());
    assert!(weather.enter("reg.io", Limits::default(), deadline).await.is_ok());
    assert!(start.elapsed() >= SECOND);
}
