// BullMQ on Node: obeys the same commands, one a line, as src/child.rs, which describes them.
'use strict';

const readline = require('node:readline');
const { Queue, Worker } = require('bullmq');

const QUEUE = 'bench';
const CALLERS = 100;
const BULK = 1000;
const KEPT = 1000;

const url = new URL(process.argv[2]);
// Connection options, so that queue and worker each make the connections that BullMQ wants for them.
const connection = { host: url.hostname, port: Number(url.port) };

const payload = () => ({ user: 1234567, text: 'x'.repeat(95) });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nowMicros = () => Number(process.hrtime.bigint() / 1000n);

let queue;
let worker;
let done = 0;
let begun = () => {};

// For a time, or up to a number: how many of the next `most` jobs are wanted?
function until(unit, n) {
  const end = Date.now() + n;
  return unit === 'ms'
    ? (added, most) => (Date.now() < end ? most : 0)
    : (added, most) => Math.min(most, n - added);
}

async function oneAfterTheOther(wanted) {
  let added = 0;
  while (wanted(added, 1) > 0) {
    await queue.add('bench', payload());
    added += 1;
  }
  return added;
}

// addBulk is its fast path: one pipeline a call.
async function bulk(wanted, opts) {
  let added = 0;
  for (;;) {
    const some = wanted(added, BULK);
    if (some <= 0) return added;
    const jobs = Array.from({ length: some }, () => ({ name: 'bench', data: payload(), opts: opts?.() }));
    await queue.addBulk(jobs);
    added += some;
  }
}

const commands = {
  async add(how, unit, n) {
    n = Number(n);
    if (how === 'seq') return oneAfterTheOther(until(unit, n));
    if (how === 'bulk') return bulk(until(unit, n));
    const share = (caller) => (unit === 'jobs' ? Math.floor((n + caller) / CALLERS) : n);
    const callers = Array.from({ length: CALLERS }, (_, i) => oneAfterTheOther(until(unit, share(i))));
    return (await Promise.all(callers)).reduce((sum, added) => sum + added, 0);
  },

  due(jobs, at) {
    return bulk(until('jobs', Number(jobs)), () => ({ delay: Math.max(1, Number(at) - Date.now()) }));
  },

  async work(concurrency, keep, wait) {
    wait = Number(wait);
    const handler = async () => {
      begun(nowMicros());
      if (wait > 0) await pause(wait);
      done += 1;
    };
    worker = new Worker(QUEUE, handler, {
      connection,
      concurrency: Number(concurrency),
      removeOnComplete: keep === 'keep' ? { count: KEPT } : { count: 0 },
    });
    worker.on('error', (error) => console.error(error));
    await worker.waitUntilReady();
    return null;
  },

  async pickup(samples, limit) {
    const end = Date.now() + Number(limit);
    const latencies = [];
    for (let sample = 0; sample < Number(samples) && Date.now() <= end; sample += 1) {
      await pause(3 + ((sample * 5) % 7));
      const handled = new Promise((resolve) => { begun = resolve; });
      const sent = nowMicros();
      await queue.add('bench', payload());
      latencies.push(Math.max(0, (await handled) - sent));
    }
    begun = () => {};
    return latencies;
  },

  async done() {
    return done;
  },

  async cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
};

function answer(line) {
  process.stdout.write(`${line.replaceAll('\n', ' ')}\n`);
}

async function main() {
  queue = new Queue(QUEUE, { connection });
  queue.on('error', (error) => console.error(error));
  await queue.waitUntilReady();
  answer('ok null');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...args] = line.split(' ');
    try {
      answer(`ok ${JSON.stringify(await commands[name](...args))}`);
    } catch (error) {
      answer(`err ${error.message}`);
    }
  }
  // Stdin has ended: whatever still runs, nobody wants it.
  process.exit(0);
}

main().catch((error) => {
  answer(`err ${error.message}`);
  process.exit(1);
});
