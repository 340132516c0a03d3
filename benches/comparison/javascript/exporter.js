// RingCentral's active calls for Prometheus, with RingCentral's SDK and `prom-client`.
//
//     RC_SERVER_URL=... RC_CLIENT_ID=... RC_CLIENT_SECRET=... RC_JWT=... PORT=9000 node exporter.js
//
// Fetches for each scrape, as Prometheus' guide for exporters recommends: values are as old as the scrape, and nothing is
// fetched without a scrape. With CACHE_SECONDS a younger list is used again, for setups with two Prometheus servers.

const http = require('node:http');
const { SDK } = require('@ringcentral/sdk');
const { collectDefaultMetrics, Gauge, Registry } = require('prom-client');

const ACTIVE_CALLS = '/restapi/v1.0/account/~/active-calls';
const CACHE_MS = 1000 * (process.env.CACHE_SECONDS ?? 0);

const platform = new SDK({
    server: process.env.RC_SERVER_URL,
    clientId: process.env.RC_CLIENT_ID,
    clientSecret: process.env.RC_CLIENT_SECRET,
}).platform();

// Metrics that do not depend on one list.
const own = new Registry();
collectDefaultMetrics({ register: own });
const up = new Gauge({ name: 'ringcentral_up', help: 'Whether the list could be read.', registers: [own] });

async function readCalls() {
    // There is no refresh token after a login by JWT, so the SDK cannot renew by itself.
    if (!(await platform.auth().accessTokenValid())) {
        await platform.login({ jwt: process.env.RC_JWT });
    }
    // The list moves while it is read, and may have a call on two pages.
    const calls = new Map();
    let response = await platform.get(ACTIVE_CALLS, { view: 'Simple', perPage: 1000 });
    for (;;) {
        const { records, navigation } = await response.json();
        records.filter(call => call.type !== 'Fax').forEach(call => calls.set(call.id, call));
        if (!navigation?.nextPage) {
            return [...calls.values()];
        }
        response = await platform.get(navigation.nextPage.uri);
    }
}

// A registry of its own for each list: no series of an earlier one stays, and without a list there is none, rather than the 0
// with which this library begins a gauge without labels.
function registryOf(calls) {
    const registry = new Registry();
    const gauge = (name, help, labelNames = []) => new Gauge({ name, help, labelNames, registers: [registry] });
    const active = gauge('ringcentral_active_calls', 'Records of the list.', ['direction', 'result', 'extension']);
    calls.forEach(call => active.inc(labelsOf(call)));
    const live = calls.filter(call => call.result === 'In Progress');
    const progress = gauge('ringcentral_calls_in_progress', 'Live records.', ['direction']);
    for (const direction of ['Inbound', 'Outbound']) {
        progress.set({ direction }, live.filter(call => call.direction === direction).length);
    }
    const sessions = new Set(live.map(call => call.telephonySessionId ?? call.sessionId));
    gauge('ringcentral_call_sessions_in_progress', 'Live calls.').set(sessions.size);
    return registry;
}

function labelsOf(call) {
    const ownSide = call.direction === 'Inbound' ? call.to : call.from;
    const extension = ownSide?.extensionNumber ?? call.extension?.id ?? 'none';
    return { direction: call.direction, result: call.result ?? 'Unknown', extension };
}

let fetching;
let latest;
let freshUntil = 0;
let silentUntil = 0;

// The registry of the list, or none if it cannot be read.
async function current() {
    if (performance.now() < freshUntil) {
        return latest;
    }
    // RingCentral starts the penalty again at a request inside it.
    if (performance.now() < silentUntil) {
        return undefined;
    }
    // Concurrent scrapes share a fetch.
    fetching ??= fetchOnce().finally(() => (fetching = undefined));
    return fetching;
}

async function fetchOnce() {
    try {
        latest = registryOf(await readCalls());
        freshUntil = performance.now() + CACHE_MS;
        return latest;
    } catch (error) {
        console.error(`no list: ${error.response?.status ?? ''} ${error.message}`);
        if (error.response?.status === 429) {
            silentUntil = performance.now() + 1000 * (error.response.headers.get('Retry-After') ?? 60);
        }
        return undefined;
    }
}

async function expose(response) {
    const list = await current();
    up.set(list ? 1 : 0);
    const registry = list ? Registry.merge([own, list]) : own;
    response.setHeader('Content-Type', registry.contentType);
    response.end(await registry.metrics());
}

http.createServer((request, response) => {
    if (request.url !== '/metrics') {
        response.writeHead(404).end();
        return;
    }
    expose(response).catch(error => response.writeHead(500).end(String(error)));
}).listen(process.env.PORT, '127.0.0.1');
