" Vim syntax of tracing scripts, with actions in braces and in angle brackets.
" Written by the test of the reference; changes belong into the tables it is made of.

if exists('b:current_syntax')
  finish
endif
syntax case match
syntax sync fromstart

syntax keyword btTodo contained TODO FIXME XXX NOTE
syntax region btComment start='//' end='$' contains=btTodo,@Spell
syntax region btComment start='/\*' end='\*/' contains=btTodo,@Spell
syntax match btShebang '\%^#!.*'
syntax region btPreProc start='^\s*#\%(!\)\@!' skip='\\$' end='$' contains=btComment,btString

syntax region btString start='"' skip='\\\\\|\\"' end='"' contains=btFormat,btEscape
syntax match btFormat contained '%[-+ #0]*[0-9*]*\%(\.[0-9*]\+\)\?\%(hh\|h\|ll\|l\|j\|z\|t\)\?[a-zA-Z%]'
syntax match btEscape contained '\\\%([0-7]\{1,3}\|x\x\{1,2}\|.\)'
syntax match btNumber '\<\%(0[xX]\x[0-9a-fA-F_]*\|\d[0-9_]*\%(e\d\+\)\?\)\%([uU]\?[lL]\{0,2}\|ns\|us\|ms\|s\|m\|h\|d\)\>'
syntax match btVariable '\$\%(\h\w*\|\d\+\|#\)'
syntax match btMap '@\w*'

" What a clause attaches to.
syntax match btProbe '\<\%(U\|bench\|f\|fentry\|fexit\|fr\|h\|hardware\|i\|interval\|it\|iter\|k\|kfunc\|kprobe\|kr\|kretfunc\|kretprobe\|p\|profile\|rawtracepoint\|rt\|s\|self\|software\|t\|test\|tracepoint\|u\|uprobe\|ur\|uretprobe\|usdt\|w\|watchpoint\):[^[:space:]{<,]*' contains=btProbeType,btVariable
syntax match btProbeType contained '^\h\w*\ze:\|\h\w*\ze:'
syntax keyword btProbeType BEGIN END begin end self

syntax keyword btKeyword if else for while unroll let return break continue import sizeof offsetof typeof typeinfo comptime struct union enum config macro fn
syntax keyword btBoolean true false
syntax keyword btType bool char int int16 int16_t int32 int32_t int64 int64_t int8 int8_t long short signed size_t ssize_t string uint16 uint16_t uint32 uint32_t uint64 uint64_t uint8 uint8_t unsigned void inet buffer username timestamp ustack_t kstack_t
syntax keyword btBuiltin contained arg0 cgroup comm config cpid cpu ctx curtask elapsed func gid has_cpid jiffies ncpus nsecs numaid pid probe probetype rand retval tid uid usermode username args
syntax match btFunction contained '\<\%(assert\|assert_str\|avg\|bswap\|buf\|cat\|cgroup_path\|cgroupid\|clear\|container_of\|count\|debugf\|default_str_length\|delete\|dw_ustack\|errorf\|exit\|fail\|find\|getopt\|has_key\|hist\|is_array\|is_err\|is_integer\|is_literal\|is_ptr\|is_scalar\|is_str\|is_unsigned_integer\|join\|kaddr\|kfunc_allowed\|kfunc_exist\|kptr\|kstack\|ksym\|leader_comm\|leader_tid\|len\|lhist\|macaddr\|max\|memcmp\|min\|nsecs\|ntop\|override\|path\|pcap\|pcomm\|percpu_kaddr\|pid\|ppid\|print\|printf\|pton\|reg\|sarg0\|sarg1\|sarg2\|sarg3\|sarg4\|sarg5\|sarg6\|sarg7\|sarg8\|sarg9\|signal\|signal_name\|signal_thread\|skboutput\|socket_cookie\|static_assert\|stats\|str\|str_concat\|strcap\|strcontains\|strerror\|strftime\|strlen\|strncmp\|strstr\|sum\|syscall_name\|system\|tid\|time\|tseries\|uaddr\|unwatch\|uptr\|ustack\|usym\|warnf\|write_user\|zero\)\ze\s*('
syntax match btOperator contained '->\|>>=\?\|<<=\?\|[<>]=\|&&\|||\|[-+*/%&|^!=]=\?\|[?:~]'
syntax match btMember contained '\%(\.\|->\)\s*\h\w*'

syntax cluster btBody contains=btComment,btString,btNumber,btVariable,btMap,btKeyword,btBoolean,btType,btBuiltin,btFunction,btMember,btOperator,btBlock,btParen

" Brackets inside an action: a `>` in them closes nothing.
syntax region btBlock contained transparent start='{' end='}' contains=@btBody,btGreater
syntax region btParen contained transparent start='(' end=')' contains=@btBody,btGreater
syntax region btParen contained transparent start='\[' end='\]' contains=@btBody,btGreater
syntax match btGreater contained '>'

" The condition between slashes, before an action.
syntax region btPredicate matchgroup=btDelimiter start='/[/*]\@!' end='/\ze\_s*\%(//.*\_s*\)*[{<]' contains=@btBody,btGreater

" The two forms of an action. A `>` closes where a statement would begin, at the end of the
" file, and before the next item.
syntax region btAction matchgroup=btDelimiter start='{' end='}' contains=@btBody,btGreater fold
syntax region btAngleAction matchgroup=btDelimiter start='<[<=]\@!' end='\%([<;}]\%(\_s\|//.*\n\)*\)\@<=>' end='[-]\@1<!>[>=]\@!\ze\%(\_s\|//.*\n\|/\*\_.\{-}\*/\)*\%(\%$\|\%(\h\w*=\)\?\%(U\|bench\|f\|fentry\|fexit\|fr\|h\|hardware\|i\|interval\|it\|iter\|k\|kfunc\|kprobe\|kr\|kretfunc\|kretprobe\|p\|profile\|rawtracepoint\|rt\|s\|self\|software\|t\|test\|tracepoint\|u\|uprobe\|ur\|uretprobe\|usdt\|w\|watchpoint\):\|\%(BEGIN\|END\|begin\|end\)\_s*[{<,/]\|macro\s\+\h\|fn\s\+\h\|let\s*@\)' contains=@btBody fold

highlight default link btTodo Todo
highlight default link btComment Comment
highlight default link btShebang PreProc
highlight default link btPreProc PreProc
highlight default link btString String
highlight default link btFormat SpecialChar
highlight default link btEscape SpecialChar
highlight default link btNumber Number
highlight default link btBoolean Boolean
highlight default link btVariable Identifier
highlight default link btMap Identifier
highlight default link btProbe Label
highlight default link btProbeType Type
highlight default link btKeyword Keyword
highlight default link btType Type
highlight default link btBuiltin Constant
highlight default link btFunction Function
highlight default link btOperator Operator
highlight default link btGreater Operator
highlight default link btDelimiter Delimiter

let b:current_syntax = 'bpftrace'
