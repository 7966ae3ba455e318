//! The one script: the generic cell rate algorithm over several keys at once, by the clock of the server.
//!
//! Times are whole ticks of an eighth of a microsecond since 2025, which a Lua number holds exactly until 2060; so no rounding adds
//! up. A rate is kept to an interval of whole ticks, rounded up: short of what was asked by less than 0.2 % at 15,000 a second.

use std::time::Duration;

use hangu_limits::Rate;
use redis::{RedisResult, Script, ScriptInvocation, aio::ConnectionLike};

/// `KEYS`: one for each limit. `ARGV`: interval and tolerance of each, in ticks. Gives the place (from 1) of the limit that asks for the
/// longest wait and that wait in ticks, or 0, the place of the one with the fewest left, and how many these are.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 8000000 + tonumber(time[2]) * 8
local after, tightest, wait = {}, 0, 0
for place, key in ipairs(KEYS) do
  local interval, tolerance = tonumber(ARGV[2 * place - 1]), tonumber(ARGV[2 * place])
  local ahead = (tonumber(redis.call('GET', key) or now) or now) - now
  ahead = math.min(math.max(ahead, 0), tolerance)
  after[place] = ahead + interval
  if after[place] - tolerance > wait then
    tightest, wait = place, after[place] - tolerance
  end
end
if tightest > 0 then
  return {tightest, wait, 0}
end
local least = nil
for place, key in ipairs(KEYS) do
  local interval, tolerance = tonumber(ARGV[2 * place - 1]), tonumber(ARGV[2 * place])
  redis.call('SET', key, string.format('%.0f', now + after[place]), 'PX', math.ceil(after[place] / 8000) + 1000)
  local left = math.floor((tolerance - after[place]) / interval)
  if least == nil or left < least then
    tightest, least = place, left
  end
end
return {0, tightest, least}
";

/// What the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Answer {
    /// All limits have counted the request.
    Admit {
        /// Which has the fewest left.
        tightest: usize,
        /// How many.
        remaining: u64,
    },
    /// None has.
    Refuse {
        /// Which asks for the longest wait.
        tightest: usize,
        /// That wait.
        wait: Duration,
    },
}

/// The script, known by its digest: only a server that has lost it is sent the whole.
#[derive(Debug)]
pub(super) struct Gcra(Script);

impl Gcra {
    pub(super) fn new() -> Self {
        Self(Script::new(SCRIPT))
    }

    /// Gives the server the script; its answer also shows that it does not hang.
    pub(super) async fn load(&self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        self.0.load_async(connection).await.map(drop)
    }

    /// Asks for one request.
    pub(super) async fn ask(
        &self,
        connection: &mut impl ConnectionLike,
        limits: impl Iterator<Item = (&str, &Rate)>,
    ) -> RedisResult<Answer> {
        let mut call: ScriptInvocation<'_> = self.0.prepare_invoke();
        for (key, rate) in limits {
            let interval = ticks(rate.interval()).max(1);
            let tolerance = interval.saturating_mul(rate.burst().get().into());
            call.key(key).arg(interval).arg(tolerance);
        }
        let (refused, second, third): (usize, u64, u64) = call.invoke_async(connection).await?;
        Ok(match refused.checked_sub(1) {
            Some(tightest) => Answer::Refuse {
                tightest,
                wait: Duration::from_nanos(second.saturating_mul(TICK_NS)),
            },
            None => Answer::Admit {
                tightest: usize::try_from(second).unwrap_or(1).saturating_sub(1),
                remaining: third,
            },
        })
    }
}

fn ticks(duration: Duration) -> u64 {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    nanoseconds.div_ceil(TICK_NS)
}

const TICK_NS: u64 = 125;
