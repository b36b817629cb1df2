" Scripts of rbt and bpftrace.
autocmd BufRead,BufNewFile *.bt setfiletype bpftrace
autocmd BufRead * if getline(1) =~# '^#!.*\<\(rbt\|bpftrace\)\>' | setfiletype bpftrace | endif
