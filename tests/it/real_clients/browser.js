// What a browser's page does: one HTTP/2 session, an answer, and an event stream that stays open.
// Says `answered STATUS`, `event`, `goaway CODE`, `stream ended` and `closed`; asks again for each line that it is told.
const fs = require('fs');
const http2 = require('http2');
const [port, folder, who] = process.argv.slice(2);
const say = (line) => process.stdout.write(line + '\n');
const read = (name) => fs.readFileSync(`${folder}/${name}`);

const session = http2.connect(`https://127.0.0.1:${port}`, {
  servername: 'records.test',
  ca: read('servers.pem'),
  cert: read(`${who}.pem`),
  key: read(`${who}.key`),
});
const open = (path) => session.request({ ':authority': 'records.test', ':path': path });
const ask = () => {
  const stream = open('/');
  stream.on('response', (head) => say(`answered ${head[':status']}`));
  stream.on('error', () => {});
  stream.resume();
};
session.on('error', (why) => say(`failed: ${why.message}`));
session.on('goaway', (code) => say(`goaway ${code}`));
session.on('close', () => {
  say('closed');
  process.exit(0);
});
const events = open('/events');
events.on('data', () => say('event'));
events.on('error', () => {});
events.on('close', () => say('stream ended'));
ask();
process.stdin.on('data', ask);
