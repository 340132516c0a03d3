// Client that follows RingCentral's guide, with the SDK `@ringcentral/sdk`.
//
//     node client.js lists|limit|expiry
//
// Runs one scenario against the account in the environment and prints its results as one line of JSON.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { SDK } = require('@ringcentral/sdk');

const ACCOUNT_CALLS = '/restapi/v1.0/account/~/active-calls';
const OWN_CALLS = '/restapi/v1.0/account/~/extension/~/active-calls';
const EXTENSIONS = '/restapi/v1.0/account/~/extension';

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

const scenarios = {
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
        console.log('waiting');
        await once(process.stdin, 'data');
        process.stdin.destroy();
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

scenarios[process.argv[2]]().then(results => console.log(JSON.stringify(results)));
