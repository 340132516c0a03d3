"""RingCentral's active calls for Prometheus, with RingCentral's SDK and `prometheus_client`.

    RC_SERVER_URL=... RC_CLIENT_ID=... RC_CLIENT_SECRET=... RC_JWT=... PORT=9000 python exporter.py

Fetches for each scrape, as Prometheus' guide for exporters recommends and the library's collectors are made for: values are as
old as the scrape, and nothing is fetched without a scrape. With CACHE_SECONDS a younger list is used again, for setups with two
Prometheus servers.
"""

import logging
import os
import threading
import time
from collections import Counter

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import GaugeMetricFamily
from ringcentral import SDK
from ringcentral.http.api_exception import ApiException

ACTIVE_CALLS = '/restapi/v1.0/account/~/active-calls'

log = logging.getLogger('exporter')


class Account:
    def __init__(self, environ):
        sdk = SDK(environ['RC_CLIENT_ID'], environ['RC_CLIENT_SECRET'], environ['RC_SERVER_URL'])
        self.platform = sdk.platform()
        self.jwt = environ['RC_JWT']

    def calls(self):
        # There is no refresh token after a login by JWT, so the SDK cannot renew by itself.
        if not self.platform.auth().access_token_valid():
            self.platform.login(jwt=self.jwt)
        page = self.platform.get(ACTIVE_CALLS, {'view': 'Simple', 'perPage': 1000}).json_dict()
        records = page['records']
        while 'nextPage' in page.get('navigation', {}):
            page = self.platform.get(page['navigation']['nextPage']['uri']).json_dict()
            records += page['records']
        # The list moves while it is read, and may have a call on two pages.
        return list({record['id']: record for record in records if record.get('type') != 'Fax'}.values())

    def forget_token(self):
        self.platform.auth().reset()


class ActiveCalls:
    """A collector, which each scrape calls; concurrent scrapes call it concurrently."""

    def __init__(self, account, cache_seconds):
        self.account = account
        self.cache_seconds = cache_seconds
        self.lock = threading.Lock()
        self.calls = None
        self.fresh_until = 0
        self.silent_until = 0

    def describe(self):
        # Without this the registry would fetch once to learn the names.
        return []

    def collect(self):
        with self.lock:
            calls = self.current()
        up = 0 if calls is None else 1
        yield GaugeMetricFamily('ringcentral_up', 'Whether the list could be read.', value=up)
        if up:
            yield from families(calls)

    def current(self):
        if time.monotonic() < self.fresh_until:
            return self.calls
        # RingCentral starts the penalty again at a request inside it.
        if time.monotonic() < self.silent_until:
            return None
        try:
            self.calls = self.account.calls()
            self.fresh_until = time.monotonic() + self.cache_seconds
            return self.calls
        except Exception as error:
            self.failed(error)
            return None

    def failed(self, error):
        response = error.api_response().response() if isinstance(error, ApiException) else None
        if response is None:
            log.error('no list: %r', error.__context__ or error)
            return
        # Not the exception itself: its text has the token.
        log.error('no list: %s %s', response.status_code, response.text[:200])
        if response.status_code == 401:
            self.account.forget_token()
        if response.status_code == 429:
            self.silent_until = time.monotonic() + float(response.headers.get('Retry-After', 60))


def families(calls):
    live = [call for call in calls if call.get('result') == 'In Progress']
    active = GaugeMetricFamily(
        'ringcentral_active_calls', 'Records of the list.', labels=['direction', 'result', 'extension']
    )
    for labels, count in Counter(map(labels_of, calls)).items():
        active.add_metric(labels, count)
    yield active
    progress = GaugeMetricFamily('ringcentral_calls_in_progress', 'Live records.', labels=['direction'])
    directions = Counter(call['direction'] for call in live)
    for direction in ('Inbound', 'Outbound'):
        progress.add_metric([direction], directions[direction])
    yield progress
    sessions = {call.get('telephonySessionId') or call['sessionId'] for call in live}
    yield GaugeMetricFamily('ringcentral_call_sessions_in_progress', 'Live calls.', value=len(sessions))


def labels_of(call):
    return call['direction'], call.get('result', 'Unknown'), extension(call)


def extension(call):
    own_side = call.get('to' if call['direction'] == 'Inbound' else 'from', {})
    return own_side.get('extensionNumber') or str(call.get('extension', {}).get('id', 'none'))


if __name__ == '__main__':
    logging.basicConfig()
    cache_seconds = float(os.environ.get('CACHE_SECONDS', 0))
    REGISTRY.register(ActiveCalls(Account(os.environ), cache_seconds))
    _, thread = start_http_server(int(os.environ['PORT']), addr='127.0.0.1')
    thread.join()
