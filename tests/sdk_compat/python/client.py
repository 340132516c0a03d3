"""Client that follows RingCentral's guide, with the SDK `ringcentral`.

    python client.py lists|limit|expiry
    python client.py events COUNT

Runs one scenario against the account in the environment and prints its results as one line of JSON.
"""

import asyncio
import json
import os
import sys
import time

from ringcentral import SDK
from ringcentral.http.api_exception import ApiException
from ringcentral.websocket.events import WebSocketEvents

ACCOUNT_CALLS = '/restapi/v1.0/account/~/active-calls'
OWN_CALLS = '/restapi/v1.0/account/~/extension/~/active-calls'
EXTENSIONS = '/restapi/v1.0/account/~/extension'
PRESENCE = '/restapi/v1.0/account/~/presence'

sdk = SDK(os.environ['RC_CLIENT_ID'], os.environ['RC_CLIENT_SECRET'], os.environ['RC_SERVER_URL'])
platform = sdk.platform()


def login():
    platform.login(jwt=os.environ['RC_JWT'])


def read_pages(endpoint, query):
    pages = [platform.get(endpoint, query).json()]
    while hasattr(pages[-1].navigation, 'nextPage'):
        pages.append(platform.get(pages[-1].navigation.nextPage.uri).json())
    return pages


def calls_of(pages):
    return [[[call.id, call.direction, call.result] for call in page.records] for page in pages]


def refusal(error):
    response = error.api_response().response()
    return [response.status_code, response.json()['errors'][0]['errorCode']]


def get_refused(endpoint):
    try:
        platform.get(endpoint)
    except ApiException as error:
        return error
    raise AssertionError(f'the request for {endpoint} should have been refused')


def lists():
    login()
    account = read_pages(ACCOUNT_CALLS, {'view': 'Simple', 'perPage': 1000})
    own = read_pages(OWN_CALLS, {'view': 'Detailed', 'direction': ['Inbound', 'Outbound']})
    assert all(call.legs for page in own for call in page.records), 'a detailed call without legs'
    extensions = read_pages(EXTENSIONS, {'perPage': 100})
    platform.logout()
    return {
        'account': calls_of(account),
        'own': calls_of(own),
        'extensions': [
            [[record.id, getattr(record, 'extensionNumber', None), record.name] for record in page.records]
            for page in extensions
        ],
        'totals': [[page.paging.totalPages, page.paging.totalElements] for page in extensions],
        'refusals': [],
    }


def limit():
    login()
    headers = platform.get(ACCOUNT_CALLS, {'view': 'Simple'}).response().headers
    error = get_refused(ACCOUNT_CALLS)
    # The SDK does not wait by itself.
    wait = int(error.api_response().response().headers.get('Retry-After', 10))
    time.sleep(wait)
    assert isinstance(platform.get(ACCOUNT_CALLS, {'view': 'Simple'}).json().records, list)
    platform.logout()
    limit_headers = [headers.get(f'X-Rate-Limit-{name}') for name in ('Group', 'Limit', 'Remaining', 'Window')]
    return {'limit_headers': limit_headers, 'waits': [wait], 'refusals': [refusal(error)]}


def expiry():
    login()
    expires_in = platform.auth().data()['expires_in']
    platform.get(OWN_CALLS)
    print('waiting', flush=True)
    sys.stdin.readline()
    expired = get_refused(OWN_CALLS)
    login()
    platform.get(OWN_CALLS)
    token = platform.auth().data()
    platform.logout()
    platform.auth().set_data(token)
    revoked = get_refused(OWN_CALLS)
    return {'expires_in': expires_in, 'refusals': [refusal(expired), refusal(revoked)]}


async def collect(count):
    events = []
    subscribed = asyncio.Event()
    complete = asyncio.Event()

    def add(message):
        event = message[1]
        events.append([event['uuid'], event['body']['sequence']])
        if len(events) == count:
            complete.set()

    client = sdk.create_web_socket_client()
    client.on(WebSocketEvents.subscriptionCreated, lambda subscription: subscribed.set())
    client.on(WebSocketEvents.receiveSubscriptionNotification, add)
    connection = asyncio.create_task(client.create_new_connection())
    await client.create_subscription([PRESENCE])
    await subscribed.wait()
    print('waiting', flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await complete.wait()
    connection.cancel()
    await client.close_connection()
    return events


def events(count):
    login()
    collected = asyncio.run(collect(int(count)))
    platform.logout()
    return {'events': collected}


if __name__ == '__main__':
    scenarios = {'lists': lists, 'limit': limit, 'expiry': expiry, 'events': events}
    print(json.dumps(scenarios[sys.argv[1]](*sys.argv[2:])))
