"""A program as RingCentral's guide has its readers write it, with `ringcentral`.

    python client.py lists|limit|expiry

Plays one scene at the account that the environment names, and ends with what it saw as one line of JSON.
"""

import json
import os
import sys
import time

from ringcentral import SDK
from ringcentral.http.api_exception import ApiException

ACCOUNT_CALLS = '/restapi/v1.0/account/~/active-calls'
OWN_CALLS = '/restapi/v1.0/account/~/extension/~/active-calls'
EXTENSIONS = '/restapi/v1.0/account/~/extension'

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
    answer = error.api_response().response()
    return [answer.status_code, answer.json()['errors'][0]['errorCode']]


def refused(endpoint):
    try:
        platform.get(endpoint)
    except ApiException as error:
        return error
    raise AssertionError(f'{endpoint} was answered, and should have been refused')


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
            [[one.id, getattr(one, 'extensionNumber', None), one.name] for one in page.records] for page in extensions
        ],
        'totals': [[page.paging.totalPages, page.paging.totalElements] for page in extensions],
        'refusals': [],
    }


def limit():
    login()
    headers = platform.get(ACCOUNT_CALLS, {'view': 'Simple'}).response().headers
    error = refused(ACCOUNT_CALLS)
    # The SDK leaves the rest to its user.
    wait = int(error.api_response().response().headers.get('Retry-After', 10))
    time.sleep(wait)
    assert isinstance(platform.get(ACCOUNT_CALLS, {'view': 'Simple'}).json().records, list)
    platform.logout()
    told = [headers.get(f'X-Rate-Limit-{name}') for name in ('Group', 'Limit', 'Remaining', 'Window')]
    return {'told': told, 'waits': [wait], 'refusals': [refusal(error)]}


def expiry():
    login()
    life = platform.auth().data()['expires_in']
    platform.get(OWN_CALLS)
    print('waiting', flush=True)
    sys.stdin.readline()
    expired = refused(OWN_CALLS)
    login()
    platform.get(OWN_CALLS)
    kept = platform.auth().data()
    platform.logout()
    platform.auth().set_data(kept)
    revoked = refused(OWN_CALLS)
    return {'life': life, 'refusals': [refusal(expired), refusal(revoked)]}


if __name__ == '__main__':
    scenes = {'lists': lists, 'limit': limit, 'expiry': expiry}
    print(json.dumps(scenes[sys.argv[1]]()))
