# Completes rbt in bash: source <(rbt completions bash)
# Written by `rbt completions bash`; changes belong into the tables it is made of.

_rbt_probes() {
    # What begins like $1: types of probes, or probes of a type, as root.
    if [[ $1 == *:* ]]; then
        "${COMP_WORDS[0]}" -l "${1//\*/}*" 2>/dev/null
    else
        compgen -W 'begin bench end fentry fexit hardware interval iter kprobe kretprobe profile rawtracepoint self software test tracepoint uprobe uretprobe usdt watchpoint' -S : -- "$1"
    fi
}

_rbt() {
    local IFS=$' \t\n' i=$COMP_CWORD word command= skip= quote= kept=
    local cur=${COMP_WORDS[COMP_CWORD]} prev
    # Bash splits words at colons and equal signs; probes have both.
    while ((i > 1)) && [[ $cur == [:=]* || ${COMP_WORDS[i - 1]} == *[:=] ]]; do
        ((i -= 1))
        cur=${COMP_WORDS[i]}$cur
    done
    prev=${COMP_WORDS[i - 1]}
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        cur=${cur#*=}
    fi
    for word in "${COMP_WORDS[@]:1:i-1}"; do
        if [[ $skip ]]; then
            skip=
        elif [[ $word == -* ]]; then
            [[ $word == -e || $word == -l || $word == --list ]] && command=-
            case $word in
            -e | -p | --pid | -c | --cmd | -o | --output | -f | -B | -d | --debug | --emit-elf | -I | --include | --no-feature | --probe-filter | --traceable-functions | --debuginfo | --dwarf-pid | --mode | --emit-llvm | --aot | --explain | --color | --format) skip=1 ;;
            esac
        elif [[ ! $command ]]; then
            command=$word
        fi
    done
    # What is quoted is one word, whatever is in it.
    case $cur in
    [\'\"]*) quote=${cur:0:1} cur=${cur:1} ;;
    *) [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && kept=${cur%"${cur##*:}"} ;;
    esac
    COMPREPLY=()
    case $prev in
    -p | --pid) mapfile -t COMPREPLY < <(cd /proc && compgen -G "$cur*" | grep '^[0-9]'); return ;;
    -c | --cmd) mapfile -t COMPREPLY < <(compgen -c -- "$cur"); return ;;
    -o | --output) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    -f) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$cur"); return ;;
    -B) mapfile -t COMPREPLY < <(compgen -W 'line full none' -- "$cur"); return ;;
    -d | --debug) mapfile -t COMPREPLY < <(compgen -W 'ast hir plan ir asm object all verifier' -- "$cur"); return ;;
    --emit-elf) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    -I) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --include) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --no-feature) mapfile -t COMPREPLY < <(compgen -W 'kprobe_multi kprobe_session uprobe_multi' -- "$cur"); return ;;
    --probe-filter) return ;;
    --traceable-functions) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --debuginfo) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --dwarf-pid) mapfile -t COMPREPLY < <(cd /proc && compgen -G "$cur*" | grep '^[0-9]'); return ;;
    --mode) mapfile -t COMPREPLY < <(compgen -W 'codegen format bench test compiler-bench' -- "$cur"); return ;;
    --emit-llvm) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --aot) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --explain) mapfile -t COMPREPLY < <(compgen -W 'E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903' -- "$cur"); return ;;
    --color) mapfile -t COMPREPLY < <(compgen -W 'always never auto' -- "$cur"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$cur"); return ;;
    -e)
        if [[ $quote && $cur != *[[:space:]]* ]]; then
            compopt -o nospace
            mapfile -t COMPREPLY < <(_rbt_probes "$cur")
            # A single answer would close the quote, where the action is to follow.
            [[ ${#COMPREPLY[@]} == 1 && $cur == *:* ]] && COMPREPLY+=("${COMPREPLY[0]} {")
        fi
        return ;;
    --doc) mapfile -t COMPREPLY < <(compgen -W 'arg0 assert assert_str avg begin bench bswap buf cache_user_symbols cat cgroup cgroup_path cgroupid cheaper_probes clear comm config container_of count cpid cpp_demangle cpu ctx curtask debugf default_str_length delete dw_ustack elapsed end errorf exit fail fentry fexit find func getopt gid hardware has_cpid has_key hist interval is_array is_err is_integer is_literal is_ptr is_scalar is_str is_unsigned_integer iter jiffies join kaddr kfunc_allowed kfunc_exist kprobe kptr kretprobe kstack ksym lazy_symbolication leader_comm leader_tid len lhist license log_size macaddr max max_bpf_progs max_cat_bytes max_map_keys max_probes max_strlen memcmp min missing_probes ncpus nsecs ntop numaid on_stack_limit override path pcap pcomm percpu_kaddr perf_rb_pages pid ppid print print_maps_on_exit printf probe probetype profile pton rand rawtracepoint reg retval sarg0 sarg1 sarg2 sarg3 sarg4 sarg5 sarg6 sarg7 sarg8 sarg9 self show_debug_info signal signal_name signal_thread skboutput socket_cookie software stack_mode static_assert stats str str_concat str_trunc_trailer strcap strcontains strerror strftime strlen strncmp strstr sum syscall_name system test tid time tracepoint tseries uaddr uid unstable_dw_ustack unstable_import_statement unstable_tseries unstable_typeinfo unwatch uprobe uptr uretprobe usdt usermode username ustack usym warnf watchpoint write_user zero E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903' -- "$cur"); return ;;
    esac
    if [[ $cur == -* ]]; then
        local flags='-e -l --list -v --verbose -p --pid -c --cmd -o --output -f -B -q --quiet -k --warnings --no-warnings --unsafe --dry-run -d --debug --emit-elf -I --include --no-feature --probe-filter --traceable-functions --debuginfo --dwarf-pid --usdt-file-activation --mode --bench --test --fmt --emit-llvm --verify-llvm-ir --aot --view --doc --explain --info --color --man -h --help -V --version'
        case $command in
        flame) flags="--folded $flags" ;;
        check) flags="--format $flags" ;;
        fmt) flags="-i --in-place --check $flags" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
        return
    fi
    case " ${COMP_WORDS[*]:1:i-1} " in
    *" -l "* | *" --list "* | *" -lv "*)
        compopt -o nospace
        mapfile -t COMPREPLY < <(_rbt_probes "$cur")
        COMPREPLY=("${COMPREPLY[@]#"$kept"}")
        return ;;
    esac
    case $command in
    '')
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -W 'check completions flame fmt help lsp tools' -- "$cur"; compgen -f -X '!*.bt' -- "$cur"; compgen -d -- "$cur") ;;
    tools)
        [[ $prev == tools ]] && mapfile -t COMPREPLY < <(compgen -W 'argdist bashreadline biolatency biosnoop cachestat capable execsnoop filelife fileslower funccount gethostlatency killsnoop lessons/01-listing lessons/02-hello lessons/03-file-opens lessons/04-syscalls-by-process lessons/05-read-sizes lessons/06-kernel-function lessons/07-time-reads lessons/08-process-events lessons/09-kernel-stacks lessons/10-scheduler lessons/11-block-sizes lessons/12-kernel-structs memleak offcputime oomkill opensnoop profile readlat runqlat runqlen seccomp-profile sslsniff stackcount syscount tcpaccept tcpconnect tcpdrop tcplife tcpretrans trace vfsstat' -- "$cur") ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W 'check codes commands completions environment examples files flame fmt help language lsp options probes prompt settings status tools words arg0 assert assert_str avg begin bench bswap buf cache_user_symbols cat cgroup cgroup_path cgroupid cheaper_probes clear comm config container_of count cpid cpp_demangle cpu ctx curtask debugf default_str_length delete dw_ustack elapsed end errorf exit fail fentry fexit find func getopt gid hardware has_cpid has_key hist interval is_array is_err is_integer is_literal is_ptr is_scalar is_str is_unsigned_integer iter jiffies join kaddr kfunc_allowed kfunc_exist kprobe kptr kretprobe kstack ksym lazy_symbolication leader_comm leader_tid len lhist license log_size macaddr max max_bpf_progs max_cat_bytes max_map_keys max_probes max_strlen memcmp min missing_probes ncpus nsecs ntop numaid on_stack_limit override path pcap pcomm percpu_kaddr perf_rb_pages pid ppid print print_maps_on_exit printf probe probetype profile pton rand rawtracepoint reg retval sarg0 sarg1 sarg2 sarg3 sarg4 sarg5 sarg6 sarg7 sarg8 sarg9 self show_debug_info signal signal_name signal_thread skboutput socket_cookie software stack_mode static_assert stats str str_concat str_trunc_trailer strcap strcontains strerror strftime strlen strncmp strstr sum syscall_name system test tid time tracepoint tseries uaddr uid unstable_dw_ustack unstable_import_statement unstable_tseries unstable_typeinfo unwatch uprobe uptr uretprobe usdt usermode username ustack usym warnf watchpoint write_user zero E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903 argdist bashreadline biolatency biosnoop cachestat capable execsnoop filelife fileslower funccount gethostlatency killsnoop lessons/01-listing lessons/02-hello lessons/03-file-opens lessons/04-syscalls-by-process lessons/05-read-sizes lessons/06-kernel-function lessons/07-time-reads lessons/08-process-events lessons/09-kernel-stacks lessons/10-scheduler lessons/11-block-sizes lessons/12-kernel-structs memleak offcputime oomkill opensnoop profile readlat runqlat runqlen seccomp-profile sslsniff stackcount syscount tcpaccept tcpconnect tcpdrop tcplife tcpretrans trace vfsstat' -- "$cur") ;;
    completions)
        mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur") ;;
    *)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}

complete -F _rbt rbt
