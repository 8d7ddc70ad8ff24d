# pfetch.bash - completion of pfetch's command line in bash.
# SPDX-License-Identifier: MIT

_pfetch()
{
    local cur prev option
    COMPREPLY=()
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=
    [ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD - 1]}
    option=$prev

    # bash cuts --name=va into three words.
    if [ "$prev" = = ] && [ "$COMP_CWORD" -gt 1 ]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    elif [ "$cur" = = ]; then
        option=$prev
        cur=
    fi

    case $option in
    -i | --input-file | --checksums | --config | --user-file | \
    --bearer-file | --load-cookies | --cacert | -E | --cert | --key | \
    --results | --failed | --resume-from)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        return ;;
    -o | --output-dir | --capath)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
        return ;;
    --handler)
        mapfile -t COMPREPLY < <(compgen -W 'dir null stdout stdout:jsonl
            stdout:framed exec: exec-each: tar: warc:' -- "$cur")
        return ;;
    --name)
        mapfile -t COMPREPLY < <(compgen -W 'basename path hash number' \
            -- "$cur")
        return ;;
    --exist)
        mapfile -t COMPREPLY < <(compgen -W \
            'auto skip overwrite update error' \
            -- "$cur")
        return ;;
    --checksum)
        mapfile -t COMPREPLY < <(compgen -W 'sha256 sha512 sha1 md5' \
            -- "$cur")
        return ;;
    --progress)
        mapfile -t COMPREPLY < <(compgen -W \
            'auto bar full plain json none' -- "$cur")
        return ;;
    --http-version)
        mapfile -t COMPREPLY < <(compgen -W '1.1 2' -- "$cur")
        return ;;
    --tls-min)
        mapfile -t COMPREPLY < <(compgen -W '1.0 1.1 1.2 1.3' -- "$cur")
        return ;;
    -h | --help)
        mapfile -t COMPREPLY < <(compgen -W 'all' -- "$cur")
        return ;;
    --base | --shard | --fan-out | \
    -t | --threads | --per-host | --rate | --host-rate | --host | \
    --limit-rate | --max-idle | --grace | --retries | --retry-http | \
    --retry-delay | --retry-max-delay | --max-retry-after | \
    --max-errors | --max-files | --deadline | --timeout | \
    --connect-timeout | --stall-timeout | --max-size | --max-redirs | \
    -H | --header | -A | --user-agent | -e | --referer | -u | --user | \
    --bearer | -x | --proxy | --noproxy | --resolve | --interface | \
    --spool-limit | --handler-jobs | --disk-reserve | \
    --tar-split)
        return ;;
    esac

    mapfile -t COMPREPLY < <(compgen -W '
        -i --input-file -0 --null --no-null --checksums --base
        --glob --no-glob --shard --config --no-config
        --dry-run --no-dry-run
        -o --output-dir --handler --handler-jobs --ordered --no-ordered
        --spool-limit --tar-split --name --fan-out --exist
        --remote-time --no-remote-time --resume --no-resume --checksum
        --disk-reserve --durable --no-durable
        -t --threads --per-host --rate --host-rate --host --limit-rate
        --max-idle --grace
        --retries --retry-http --retry-delay --retry-max-delay
        --max-retry-after
        --max-errors --fail-early --no-fail-early --max-files --deadline
        --timeout --connect-timeout --stall-timeout --max-size --max-redirs
        --allow-downgrade --no-allow-downgrade
        --content-disposition --no-content-disposition
        --head --no-head --require-length --no-require-length
        -H --header -A --user-agent -e --referer
        --compressed --no-compressed -u --user --user-file
        --bearer --bearer-file --netrc --load-cookies
        -x --proxy --noproxy --http-version --resolve
        -4 --ipv4 -6 --ipv6 --interface --deny-private --no-deny-private
        --cacert --capath -k --insecure --no-insecure
        --tls-min -E --cert --key
        --results --failed --resume-from
        --progress -q --quiet -v --verbose -h --help -V --version
        ' -- "$cur")
}

complete -F _pfetch pfetch
