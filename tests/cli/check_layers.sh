#!/bin/sh
# check_layers - who includes what.
#
# SPDX-License-Identifier: MIT
#
# The compiler stops most trespasses, because each part is given only the
# public headers.  This finds the rest: a path that leads out of a directory,
# and a header of libcurl, which the system has for everybody.
: "${srcdir:=$(dirname "$0")/..}"
# shellcheck source=tests/support/tap.sh
. "$srcdir/support/tap.sh"
cd "$srcdir/../src" || exit 99

# The files of the engine that may know libcurl.
curl_files='url|transfer|date|conncache|trust|pfetch'

# includes DIR...: "file:line:#include ..." of all sources there.
includes()
{
    grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null "$@"
}

# foreign DIR OTHER...: what DIR includes with a path, or that is a header
# of OTHER and not also one of DIR's.
foreign()
{
    dir=$1
    shift
    includes "$dir"/*.[ch] | grep -E '"[^"]*/[^"]*"'
    for other in "$@"; do
        for header in "$other"/*.h; do
            name=$(basename "$header")
            [ -e "$dir/$name" ] && continue
            includes "$dir"/*.[ch] | grep -F "\"$name\""
        done
    done
}

empty "the program includes only its own and public headers" \
    "$(foreign pfetch libpfetch handlers)"
empty "handlers include only their own and public headers" \
    "$(foreign handlers libpfetch pfetch)"
empty "the engine includes nothing of the program or the handlers" \
    "$(foreign libpfetch handlers pfetch
       includes libpfetch/*.[ch] | grep -F pfetch_handlers.h)"
empty "the program and the handlers do not know libcurl" \
    "$(includes pfetch/*.[ch] handlers/*.[ch] | grep -F curl/)"
empty "few files of the engine know libcurl" \
    "$(includes libpfetch/*.[ch] | grep -F curl/ |
       grep -vE "^libpfetch/($curl_files)\.[ch]:")"
empty "public headers include only the standard library and each other" \
    "$(includes include/*.h |
       grep -vE '<std(bool|def|int)\.h>|"pfetch\.h"')"
empty "config.h is included first, by each .c file, and by no header" \
    "$(for file in libpfetch/*.c handlers/*.c pfetch/*.c; do
           includes "$file" | head -n 1 | grep -q '"config.h"' ||
               echo "$file"
       done
       includes ./*/*.h | grep -F '"config.h"')"
empty "the library neither prints nor exits" \
    "$(grep -nE '\b(perror|fprintf\(stderr|exit\()' /dev/null \
           libpfetch/*.c handlers/*.c)"
done_testing
