// A program as RingCentral's guide has its readers write it, with `@ringcentral/sdk`.
//
//     node client.js lists|limit|expiry
//
// Plays one scene at the account that the environment names, and ends with what it saw as one line of JSON.

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
    // Goes on after a 429; the number of seconds is for answers without Retry-After.
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

// Status and code of all that was refused. The SDK must have found the message where it looks for it.
async function refusals() {
    const told = refused.map(async error => {
        const { errors } = await error.response.json();
        assert.equal(error.message, errors[0].message);
        return [error.response.status, errors[0].errorCode];
    });
    return Promise.all(told);
}

const scenes = {
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
            extensions: extensions.map(page => page.records.map(one => [one.id, one.extensionNumber ?? null, one.name])),
            totals: extensions.map(page => [page.paging.totalPages, page.paging.totalElements]),
            refusals: await refusals(),
        };
    },

    async limit() {
        const waits = [];
        platform.on(platform.events.rateLimitError, error => waits.push(error.retryAfter / 1000));
        await login();
        const { headers } = await platform.get(ACCOUNT_CALLS, { view: 'Simple' });
        // One too many: the SDK waits and asks again by itself.
        const { records } = await (await platform.get(ACCOUNT_CALLS, { view: 'Simple' })).json();
        assert.ok(Array.isArray(records));
        await platform.logout();
        const told = ['Group', 'Limit', 'Remaining', 'Window'].map(name => headers.get(`X-Rate-Limit-${name}`));
        return { told, waits, refusals: await refusals() };
    },

    async expiry() {
        const listsOwnCalls = async () => (await platform.get(OWN_CALLS)).json();
        await login();
        const { expires_in: life } = await platform.auth().data();
        await listsOwnCalls();
        console.log('waiting');
        await once(process.stdin, 'data');
        process.stdin.destroy();
        // There is no refresh token after a login by JWT: the SDK takes the 401 for the end, and a login must follow.
        await assert.rejects(listsOwnCalls, /refresh token is missing/i);
        assert.equal(await platform.loggedIn(), false);
        await login();
        await listsOwnCalls();
        const kept = await platform.auth().data();
        await platform.logout();
        await platform.auth().setData(kept);
        await assert.rejects(listsOwnCalls, /refresh token is missing/i);
        return { life, refusals: await refusals() };
    },
};

scenes[process.argv[2]]().then(seen => console.log(JSON.stringify(seen)));
