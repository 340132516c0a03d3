//! More scrapers than anyone has, all of them honest.

use std::sync::Arc;

use ringcentral_exporter::simulator::Operation;
use tokio::task::JoinSet;

use crate::flood::affordable;
use crate::stage::{ATTACKER, Stage};

#[tokio::test]
async fn a_thousand_scrapers_at_once_get_a_right_answer_each() {
    let stage = Arc::new(Stage::start().await);
    let mut crowd = JoinSet::new();
    for _ in 0..affordable(1_000) {
        let stage = stage.clone();
        crowd.spawn(async move { stage.scrape(ATTACKER).await });
    }
    let answers = crowd.join_all().await;
    answers.iter().for_each(|answer| answer.is_right());
    let slowest = answers.iter().map(|answer| answer.elapsed).max().unwrap();
    println!(
        "{} scrapers, the last is answered after {slowest:?}",
        answers.len()
    );
    let fetches = stage
        .simulator
        .journal()
        .into_iter()
        .filter(|it| it.operation == Some(Operation::ActiveCalls));
    assert_eq!(fetches.count(), 1, "a crowd costs what one does");
}
