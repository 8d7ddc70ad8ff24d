#!/bin/sh
# without - stands in for an interpreter that is missing: skips the test.
#
# SPDX-License-Identifier: MIT
echo "1..0 # SKIP $1 is not installed"
