# shellcheck shell=sh
# tap.sh - TAP for tests written in shell; to be sourced.
#
# SPDX-License-Identifier: MIT
#
#     . "$srcdir/support/tap.sh"
#     empty "nothing is wrong" "$(grep wrong file)"
#     done_testing

tap_count=0
tap_failed=0

# empty NAME TEXT: the case holds when TEXT, a list of what is wrong, is empty.
empty()
{
    tap_count=$((tap_count + 1))
    if [ -z "$2" ]; then
        echo "ok $tap_count - $1"
    else
        tap_failed=1
        echo "not ok $tap_count - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
    fi
}

# skip NAME REASON: the case could not be tried.
skip()
{
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

done_testing()
{
    echo "1..$tap_count"
    exit "$tap_failed"
}
