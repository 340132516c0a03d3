"""Parses OpenMetrics from standard input with the reference parser and prints the number of samples."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
print(sum(len(family.samples) for family in families))
