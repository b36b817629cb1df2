# Completes rbt in fish: rbt completions fish > ~/.config/fish/completions/rbt.fish
# Written by `rbt completions fish`; changes belong into the tables it is made of.

function __rbt_probes
    set -l word (string trim --left --chars '\'"' -- (commandline -ct))
    if string match -q '*:*' -- $word
        rbt -l (string replace --all '*' '' -- $word)'*' 2>/dev/null
    else
        for name in begin bench end fentry fexit hardware interval iter kprobe kretprobe profile rawtracepoint self software test tracepoint uprobe uretprobe usdt watchpoint
            echo $name:
        end
    end
end

function __rbt_command
    # The first word that is no option.
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if not string match -q -- '-*' $word
            echo $word
            return
        end
    end
end

complete -c rbt -n 'not __rbt_command >/dev/null; or test (__rbt_command | count) -eq 0' -a 'check completions flame fmt help lsp tools'
complete -c rbt -n '__fish_seen_argument -s l -l list' -f -a '(__rbt_probes)'
complete -c rbt -n '__fish_seen_argument -l doc' -f -a 'arg0 assert assert_str avg begin bench bswap buf cache_user_symbols cat cgroup cgroup_path cgroupid cheaper_probes clear comm config container_of count cpid cpp_demangle cpu ctx curtask debugf default_str_length delete dw_ustack elapsed end errorf exit fail fentry fexit find func getopt gid hardware has_cpid has_key hist interval is_array is_err is_integer is_literal is_ptr is_scalar is_str is_unsigned_integer iter jiffies join kaddr kfunc_allowed kfunc_exist kprobe kptr kretprobe kstack ksym lazy_symbolication leader_comm leader_tid len lhist license log_size macaddr max max_bpf_progs max_cat_bytes max_map_keys max_probes max_strlen memcmp min missing_probes ncpus nsecs ntop numaid on_stack_limit override path pcap pcomm percpu_kaddr perf_rb_pages pid ppid print print_maps_on_exit printf probe probetype profile pton rand rawtracepoint reg retval sarg0 sarg1 sarg2 sarg3 sarg4 sarg5 sarg6 sarg7 sarg8 sarg9 self show_debug_info signal signal_name signal_thread skboutput socket_cookie software stack_mode static_assert stats str str_concat str_trunc_trailer strcap strcontains strerror strftime strlen strncmp strstr sum syscall_name system test tid time tracepoint tseries uaddr uid unstable_dw_ustack unstable_import_statement unstable_tseries unstable_typeinfo unwatch uprobe uptr uretprobe usdt usermode username ustack usym warnf watchpoint write_user zero E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903'
complete -c rbt -n 'test "$(__rbt_command)" = tools' -f -a 'argdist bashreadline biolatency biosnoop cachestat capable execsnoop filelife fileslower funccount gethostlatency killsnoop lessons/01-listing lessons/02-hello lessons/03-file-opens lessons/04-syscalls-by-process lessons/05-read-sizes lessons/06-kernel-function lessons/07-time-reads lessons/08-process-events lessons/09-kernel-stacks lessons/10-scheduler lessons/11-block-sizes lessons/12-kernel-structs memleak offcputime oomkill opensnoop profile readlat runqlat runqlen seccomp-profile sslsniff stackcount syscount tcpaccept tcpconnect tcpdrop tcplife tcpretrans trace vfsstat'
complete -c rbt -n 'test "$(__rbt_command)" = help' -f -a 'check codes commands completions environment examples files flame fmt help language lsp options probes prompt settings status tools words arg0 assert assert_str avg begin bench bswap buf cache_user_symbols cat cgroup cgroup_path cgroupid cheaper_probes clear comm config container_of count cpid cpp_demangle cpu ctx curtask debugf default_str_length delete dw_ustack elapsed end errorf exit fail fentry fexit find func getopt gid hardware has_cpid has_key hist interval is_array is_err is_integer is_literal is_ptr is_scalar is_str is_unsigned_integer iter jiffies join kaddr kfunc_allowed kfunc_exist kprobe kptr kretprobe kstack ksym lazy_symbolication leader_comm leader_tid len lhist license log_size macaddr max max_bpf_progs max_cat_bytes max_map_keys max_probes max_strlen memcmp min missing_probes ncpus nsecs ntop numaid on_stack_limit override path pcap pcomm percpu_kaddr perf_rb_pages pid ppid print print_maps_on_exit printf probe probetype profile pton rand rawtracepoint reg retval sarg0 sarg1 sarg2 sarg3 sarg4 sarg5 sarg6 sarg7 sarg8 sarg9 self show_debug_info signal signal_name signal_thread skboutput socket_cookie software stack_mode static_assert stats str str_concat str_trunc_trailer strcap strcontains strerror strftime strlen strncmp strstr sum syscall_name system test tid time tracepoint tseries uaddr uid unstable_dw_ustack unstable_import_statement unstable_tseries unstable_typeinfo unwatch uprobe uptr uretprobe usdt usermode username ustack usym warnf watchpoint write_user zero E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903 argdist bashreadline biolatency biosnoop cachestat capable execsnoop filelife fileslower funccount gethostlatency killsnoop lessons/01-listing lessons/02-hello lessons/03-file-opens lessons/04-syscalls-by-process lessons/05-read-sizes lessons/06-kernel-function lessons/07-time-reads lessons/08-process-events lessons/09-kernel-stacks lessons/10-scheduler lessons/11-block-sizes lessons/12-kernel-structs memleak offcputime oomkill opensnoop profile readlat runqlat runqlen seccomp-profile sslsniff stackcount syscount tcpaccept tcpconnect tcpdrop tcplife tcpretrans trace vfsstat'
complete -c rbt -n 'test "$(__rbt_command)" = completions' -f -a 'bash zsh fish'
complete -c rbt -s e -x -a '(__rbt_probes)' -d 'run this text'
complete -c rbt -s l -l list -d 'list probes that match a pattern, or that a script attaches to'
complete -c rbt -s v -l verbose -d 'say what is done; with -l show the arguments of probes'
complete -c rbt -s p -l pid -x -a '(__fish_complete_pids)' -d 'trace this process only, and end when it ends'
complete -c rbt -s c -l cmd -x -a '(__fish_complete_command)' -d 'run this command, and end when it ends'
complete -c rbt -s o -l output -r -F -d 'write the output to a file'
complete -c rbt -s f -x -a 'text json' -d 'the output\'s format: text or json'
complete -c rbt -s B -x -a 'line full none' -d 'when output leaves: line, full or none'
complete -c rbt -s q -l quiet -d 'no notice when everything is attached'
complete -c rbt -s k -l warnings -d 'report failed reads of memory and maps too'
complete -c rbt -l no-warnings -d 'no warnings'
complete -c rbt -l unsafe -d 'allow functions that change the system'
complete -c rbt -l dry-run -d 'compile, load and attach, then stop'
complete -c rbt -s d -l debug -x -a 'ast hir plan ir asm object all verifier' -d 'print a stage and stop: ast, hir, plan, ir, asm, object or all; or show what the verifier says'
complete -c rbt -l emit-elf -r -F -d 'write the eBPF object to a file and stop'
complete -c rbt -s I -r -F -d 'search a folder for what a script includes'
complete -c rbt -l include -r -F -d 'include a file before the script'
complete -c rbt -l no-feature -x -a 'kprobe_multi kprobe_session uprobe_multi' -d 'do without kprobe_multi, kprobe_session or uprobe_multi'
complete -c rbt -l probe-filter -x -d 'keep only probes whose name matches'
complete -c rbt -l traceable-functions -r -F -d 'read the kernel functions that can be traced from a file'
complete -c rbt -l debuginfo -r -F -d 'search folders for debug information of programs'
complete -c rbt -l dwarf-pid -x -a '(__fish_complete_pids)' -d 'accepted: stacks of every process are unwound where they can be'
complete -c rbt -l usdt-file-activation -d 'accepted: the kernel activates semaphores by itself'
complete -c rbt -l mode -x -a 'codegen format bench test compiler-bench' -d 'what to do: codegen (compile, and stop), format, bench or test'
complete -c rbt -l bench -d 'run the benchmarks of a script, and report how long they take'
complete -c rbt -l test -d 'run the tests of a script, and report which pass'
complete -c rbt -l fmt -d 'write the script in its usual form; with -o into that file'
complete -c rbt -l emit-llvm -r -F -d 'refused: nothing is compiled by way of LLVM'
complete -c rbt -l verify-llvm-ir -d 'refused: nothing is compiled by way of LLVM'
complete -c rbt -l aot -r -F -d 'refused: --emit-elf writes an object that other loaders take'
complete -c rbt -l view -d 'show maps on the terminal while they change: tables, rates, histograms over time'
complete -c rbt -l doc -d 'show the page of a word, a setting or a code, or list them'
complete -c rbt -l explain -x -a 'E0000 E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020 E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031 E0032 E0100 E0101 E0102 E0103 E0104 E0105 E0110 E0200 E0201 E0202 E0203 E0204 E0205 E0206 E0207 E0208 E0209 E0210 E0211 E0212 E0213 E0214 E0215 E0216 E0217 E0218 E0219 E0220 E0300 E0301 E0302 E0303 E0304 E0305 E0306 E0307 E0308 E0400 E0401 E0402 E0403 E0404 E0405 E0500 E0501 E0502 E0800 E0801 E0802 E0803 E0804 E0900 E0901 E0902 E0903' -d 'explain the code of a message, such as E0402'
complete -c rbt -l info -d 'say what this kernel can do'
complete -c rbt -l color -x -a 'always never auto' -d 'colours in messages: always, never, or auto (on a terminal)'
complete -c rbt -l man -d 'write the manual page: rbt --man | man -l -'
complete -c rbt -s h -l help -d 'show this'
complete -c rbt -s V -l version -d 'show the version'
complete -c rbt -n 'test "$(__rbt_command)" = flame' -l folded -d 'write folded stacks, a line for each, instead (to stdout without `-o`)'
complete -c rbt -n 'test "$(__rbt_command)" = check' -l format -x -a 'text json' -d 'how findings are written: text or json'
complete -c rbt -n 'test "$(__rbt_command)" = fmt' -s i -l in-place -d 'write into the files instead'
complete -c rbt -n 'test "$(__rbt_command)" = fmt' -l check -d 'write nothing; name the files that are not in their usual form, status 1'
