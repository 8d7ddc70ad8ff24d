#!/usr/bin/env python3
"""long_polite - politeness in the sizes promised; minutes: check-full.

SPDX-License-Identifier: MIT
"""

from common import tap
import scenes


@tap.case(timeout=300)
def per_host(tmp):
    "8 hosts, --per-host 2 -t 16, 200 URLs each"
    scenes.per_host(tmp, 200)


@tap.case(timeout=300)
def rate(tmp):
    "--rate 50/s, 500 URLs: 10 s within 5 %"
    scenes.rate(tmp, 500, 0.05)


@tap.case(timeout=300)
def host_rate(tmp):
    "--host-rate 10/s on 4 hosts, 100 URLs each: within 5 %"
    scenes.host_rate(tmp, 10, 100, 0.05)


@tap.case(timeout=300)
def limit_rate_2(tmp):
    "--limit-rate 10M, 200 MiB, 2 workers: 20 s within 5 %"
    scenes.limit_rate(tmp, 2, 200, 10, 0.05)


@tap.case(timeout=300)
def limit_rate_64(tmp):
    "--limit-rate 10M, 200 MiB, 64 workers: 20 s within 5 %"
    scenes.limit_rate(tmp, 64, 200, 10, 0.05)


@tap.case(timeout=300)
def stalled(tmp):
    "15 of 16 hosts stalled, 1,000 URLs each, --per-host 1: the 16th at speed"
    scenes.most_stalled(tmp, 1000, 3)


@tap.case(timeout=300)
def unavailable(tmp):
    "503 twice then 200 on 200 URLs beside 1,000 good ones: within 60 s"
    scenes.unavailable_twice(tmp, 200, 1000, 60)


@tap.case(timeout=300)
def too_many(tmp):
    "429 with Retry-After: 2 above 5 at a time, 400 URLs, 32 workers"
    scenes.too_many(tmp, 400, 32, 2)


@tap.case(timeout=300)
def dead(tmp):
    "10,000 URLs on a dead port, 1,000 on a dead name, 1,000 good: under 30 s"
    scenes.dead_beside_good(tmp, 10000, 1000, 1000)


@tap.case(timeout=300)
def share_of_errors(tmp):
    "--max-errors 5% of 20,000 lines"
    scenes.max_errors_share(tmp, 20000)


tap.main()
