// Client that follows RingCentral's guide, with the SDKs `@ringcentral/sdk` and `@rc-ex/core`.
//
//     node client.js lists|limit|expiry
//     node client.js events|subscriptions COUNT
//
// Runs one scenario against the account in the environment and prints its results as one line of JSON.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { default: RingCentral } = require('@rc-ex/core');
const { default: WebSocketExtension } = require('@rc-ex/ws');
const { SDK } = require('@ringcentral/sdk');
const { Subscriptions } = require('@ringcentral/subscriptions');

const ACCOUNT_CALLS = '/restapi/v1.0/account/~/active-calls';
const OWN_CALLS = '/restapi/v1.0/account/~/extension/~/active-calls';
const EXTENSIONS = '/restapi/v1.0/account/~/extension';
const PRESENCE = '/restapi/v1.0/account/~/presence';

const sdk = new SDK({
    server: process.env.RC_SERVER_URL,
    clientId: process.env.RC_CLIENT_ID,
    clientSecret: process.env.RC_CLIENT_SECRET,
    // Retries after a 429. The number of seconds applies to responses without Retry-After.
    handleRateLimit: 10,
});
const platform = sdk.platform();

const refused = [];
sdk.client().on('requestError', error => refused.push(error));

const login = () => platform.login({ jwt: process.env.RC_JWT });

async function readPages(endpoint, query) {
    const pages = [];
    let response = await platform.get(endpoint, query);
    for (;;) {
        const page = await response.json();
        pages.push(page);
        if (!page.navigation.nextPage) {
            return pages;
        }
        response = await platform.get(page.navigation.nextPage.uri);
    }
}

const callsOf = pages => pages.map(page => page.records.map(call => [call.id, call.direction, call.result]));

// Returns status and code of all refused requests. The SDK must have found the message in the body.
async function refusals() {
    const results = refused.map(async error => {
        const { errors } = await error.response.json();
        assert.equal(error.message, errors[0].message);
        return [error.response.status, errors[0].errorCode];
    });
    return Promise.all(results);
}

async function waitForTest() {
    console.log('waiting');
    await once(process.stdin, 'data');
    process.stdin.destroy();
}

// Collects this number of events, of which `subscribe` passes each to its argument.
async function collect(count, subscribe) {
    const events = [];
    let finish;
    const complete = new Promise(resolve => { finish = resolve; });
    await subscribe(event => {
        events.push([event.uuid, event.body.sequence]);
        if (events.length === count) {
            finish();
        }
    });
    await waitForTest();
    await complete;
    return events;
}

const scenarios = {
    // With the extension of `@rc-ex/core`.
    async events(count) {
        const rc = new RingCentral({
            server: process.env.RC_SERVER_URL,
            clientId: process.env.RC_CLIENT_ID,
            clientSecret: process.env.RC_CLIENT_SECRET,
        });
        await rc.authorize({ jwt: process.env.RC_JWT });
        const extension = new WebSocketExtension();
        await rc.installExtension(extension);
        const events = await collect(count, add => extension.subscribe([PRESENCE], add));
        await extension.revoke();
        await rc.revoke();
        return { events };
    },

    // With the extension of `@ringcentral/sdk`.
    async subscriptions(count) {
        await login();
        const subscriptions = new Subscriptions({ sdk });
        const subscription = subscriptions.createSubscription();
        let registered;
        const events = await collect(count, async add => {
            subscription.on(subscription.events.notification, add);
            registered = await subscription.setEventFilters([PRESENCE]).register();
        });
        await registered.revoke();
        await platform.logout();
        // The extension reconnects until the program ends.
        setImmediate(() => process.exit());
        return { events };
    },

    async lists() {
        await login();
        const account = await readPages(ACCOUNT_CALLS, { view: 'Simple', perPage: 1000 });
        const own = await readPages(OWN_CALLS, { view: 'Detailed', direction: ['Inbound', 'Outbound'] });
        assert.ok(own.every(page => page.records.every(call => call.legs.length > 0)), 'a detailed call without legs');
        const extensions = await readPages(EXTENSIONS, { perPage: 100 });
        await platform.logout();
        return {
            account: callsOf(account),
            own: callsOf(own),
            extensions: extensions.map(page =>
                page.records.map(record => [record.id, record.extensionNumber ?? null, record.name])),
            totals: extensions.map(page => [page.paging.totalPages, page.paging.totalElements]),
            refusals: await refusals(),
        };
    },

    async limit() {
        const waits = [];
        platform.on(platform.events.rateLimitError, error => waits.push(error.retryAfter / 1000));
        await login();
        const { headers } = await platform.get(ACCOUNT_CALLS, { view: 'Simple' });
        // This request exceeds the limit. The SDK waits and retries by itself.
        const { records } = await (await platform.get(ACCOUNT_CALLS, { view: 'Simple' })).json();
        assert.ok(Array.isArray(records));
        await platform.logout();
        const limitHeaders = ['Group', 'Limit', 'Remaining', 'Window'].map(name => headers.get(`X-Rate-Limit-${name}`));
        return { limit_headers: limitHeaders, waits, refusals: await refusals() };
    },

    async expiry() {
        const getOwnCalls = async () => (await platform.get(OWN_CALLS)).json();
        await login();
        const { expires_in: expiresIn } = await platform.auth().data();
        await getOwnCalls();
        await waitForTest();
        // A login by JWT returns no refresh token, so the SDK ends the session after the 401.
        await assert.rejects(getOwnCalls, /refresh token is missing/i);
        assert.equal(await platform.loggedIn(), false);
        await login();
        await getOwnCalls();
        const token = await platform.auth().data();
        await platform.logout();
        await platform.auth().setData(token);
        await assert.rejects(getOwnCalls, /refresh token is missing/i);
        return { expires_in: expiresIn, refusals: await refusals() };
    },
};

const [, , scenario, count] = process.argv;
scenarios[scenario](Number(count)).then(results => console.log(JSON.stringify(results)));
