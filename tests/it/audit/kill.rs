//! A gateway that is killed under load: whoever had an answer has a record.
//!
//! `HANGU_KILLS` sets how many times; `tests/kill-drill` runs a thousand.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hangu_audit::{Entry, Position, Reader};
use hangu_tests::{Answer, TestUpstream};

use crate::support::gateway;

#[test]
fn no_record_of_an_answered_request_is_lost_when_the_process_is_killed() {
    let kills: u32 = std::env::var("HANGU_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway()
        .audit("segment = \"1MiB\"")
        .records(upstream.address());
    let mut folder = world.prepare();
    let mut answered: BTreeSet<String> = BTreeSet::new();
    // No two rounds alike, and every run alike.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let life = Duration::from_millis(20 + (seed >> 33) % 180);
        let mut running = folder.start();
        let heard = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let (client, heard) = (running.client("clerk"), &heard);
                scope.spawn(move || {
                    let Ok(mut connection) = client.connect() else {
                        return;
                    };
                    while let Ok(response) = connection.get("/residents/7") {
                        heard.lock().unwrap().push(response.request_id());
                    }
                });
            }
            let end = Instant::now() + life;
            while Instant::now() < end {
                thread::park_timeout(end.saturating_duration_since(Instant::now()));
            }
            running.signal("KILL");
        });
        assert!(!running.process().wait_for_end().success());
        answered.extend(heard.into_inner().unwrap());
        folder = running.into_folder();
        println!("round {round}: {} answers so far", answered.len());
    }
    assert!(
        answered.len() > kills as usize,
        "{} answers",
        answered.len()
    );
    let count = answered.len();
    // The next gateway repairs what the last kill left behind, says so, and goes on with one chain.
    let mut running = folder.start();
    running.signal("TERM");
    assert_eq!(running.wait_for_end().status.code(), Some(0));
    let audit = running.folder().path("audit");
    hangu_audit::verify(&audit, |_| ()).unwrap();
    // Segments that were finished early are compressed by now.
    let mut reader = Reader::open(&audit, Position::First).unwrap();
    while let Some(line) = reader.next_line().unwrap() {
        let written = Entry::parse(&line.json).unwrap().request_id;
        answered.remove(&written);
    }
    assert!(answered.is_empty(), "{} lost: {answered:?}", answered.len());
    println!("{count} answered requests in {kills} kills, none lost");
}

const CLIENTS: usize = 4;
