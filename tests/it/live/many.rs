//! Many open connections at once: all of whom it concerns end, and no other. How soon is not for a test to say, whose machine does other things
//! too: `hangu-benches live` measures it, and this prints what it saw. How many is for the machine to say: `HANGU_LIVE_CONNECTIONS=5000 HANGU_LIVE_ENTRIES=1000000` is the
//! full size (with `ulimit -n 20000`, an optimised build, `--nocapture` for the figures); without them it is what a test may take.

use std::thread;
use std::time::Instant;

use hangu_certs::Serial;
use hangu_tests::{Client, ClientConnection, Credentials, Metrics, RunningGateway};

use super::{hangu, told};
use crate::support::records_with;

fn size(name: &str, usual: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(usual, |text| text.parse().expect("a number"))
}

/// A gateway with so many silent connections of one holder, and one of a neighbour.
struct Crowd {
    gateway: RunningGateway,
    moles: Vec<ClientConnection>,
    neighbour: ClientConnection,
    mole: Credentials,
}

fn crowd(count: usize) -> Crowd {
    let (gateway, upstream) = records_with(|world| {
        world
            .shell("ulimit -n $(ulimit -Hn)")
            .listener("idle_timeout = \"10m\"")
    });
    // It answers for as long as the process lives.
    std::mem::forget(upstream);
    let mole = gateway.pki().client("reader");
    let client = gateway.client_with(Some(&mole));
    let share = |part: usize| count / OPENERS + usize::from(part < count % OPENERS);
    let moles = thread::scope(|scope| {
        let openers: Vec<_> = (0..OPENERS)
            .map(|part| {
                let client = &client;
                scope.spawn(move || (0..share(part)).map(|_| open(client)).collect::<Vec<_>>())
            })
            .collect();
        openers
            .into_iter()
            .flat_map(|opener| opener.join().unwrap())
            .collect()
    });
    let neighbour = open(&gateway.client("clerk"));
    let open = [("listener", "edge")];
    gateway.wait_for_metric("hangu_connections", &open, count as f64);
    Crowd {
        gateway,
        moles,
        neighbour,
        mole,
    }
}

fn open(client: &Client) -> ClientConnection {
    client.connect().unwrap()
}

impl Crowd {
    /// Processor time of the gateway so far, in hundredths of a second: whatever else the machine is doing is not in it.
    fn processor_ticks(&mut self) -> u64 {
        let stat = format!("/proc/{}/stat", self.gateway.process().id());
        let stat = std::fs::read_to_string(stat).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        number(11) + number(12)
    }

    /// Waits until all of them are closed, and the gateway knows it.
    fn closed(&mut self, since: Instant, used: u64) -> Metrics {
        let count = self.moles.len();
        for mole in &mut self.moles {
            mole.expect_close().unwrap();
        }
        let heard = since.elapsed();
        let revoked = [("reason", "endpoint.revoked")];
        let closed = "hangu_connections_closed_total";
        self.gateway.wait_for_metric(closed, &revoked, count as f64);
        assert_eq!(self.neighbour.get("/").unwrap().status, 200);
        let used = (self.processor_ticks() - used) * 10;
        let metrics = self.gateway.metrics();
        let effect =
            |le: &str| metrics.sum("hangu_revocation_effect_seconds_bucket", &[("le", le)]);
        let buckets = [
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "0.75", "1", "+Inf",
        ];
        let buckets: Vec<String> = buckets
            .iter()
            .map(|le| format!("{le} s: {}", effect(le)))
            .collect();
        println!(
            "{count} closed, the last heard of it after {heard:?}, for {used} ms of the gateway's processor time; within {}",
            buckets.join(", ")
        );
        assert_eq!(effect("+Inf"), count as f64);
        metrics
    }
}

#[test]
fn a_push_ends_all_connections_of_a_subject_and_no_other() {
    let mut crowd = crowd(size("HANGU_LIVE_CONNECTIONS", 200));
    let (pushed, used) = (Instant::now(), crowd.processor_ticks());
    let subject = [
        "revoke",
        "--subject",
        "spiffe://gov.test/reader",
        "--reason",
        "test",
    ];
    let count = crowd.moles.len();
    let answer = told(&hangu(&crowd.gateway, &subject));
    assert!(
        answer.contains(&format!("{count} open connections end")),
        "{answer}"
    );
    println!("the push was answered after {:?}", pushed.elapsed());
    crowd.closed(pushed, used);
}

#[test]
fn a_list_ends_all_connections_of_whom_it_names_and_no_other() {
    let mut crowd = crowd(size("HANGU_LIVE_CONNECTIONS", 200));
    let others = size("HANGU_LIVE_ENTRIES", 10_000) - 1;
    let stranger = |number: usize| {
        let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Serial::from_bytes(&[&[0x5a; 8][..], &mixed.to_be_bytes()].concat()).unwrap()
    };
    let mut serials: Vec<Serial> = (0..others).map(stranger).collect();
    serials.push(crowd.mole.issued.serial);
    let list = crowd.gateway.pki().crl_pem_of(&serials, 2);
    let used = crowd.processor_ticks();
    crowd.gateway.folder().write("certs/clients.crl.pem", &list);
    let published = Instant::now();
    crowd.closed(published, used);
}

/// Threads that open connections: no more than one source may have under way.
const OPENERS: usize = 8;
