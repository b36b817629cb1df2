" `gq` and `=` lay a script out, `:make` checks it.
if exists('b:did_ftplugin') | finish | endif
let b:did_ftplugin = 1
setlocal commentstring=//\ %s comments=s1:/*,mb:*,ex:*/,://
setlocal equalprg=rbt\ fmt\ - formatprg=rbt\ fmt\ -
setlocal makeprg=rbt\ check\ % errorformat=%f:%l:%c-%k:\ %tRROR:\ %m,%f:%l:%c-%k:\ %tARNING:\ %m,%-G%.%#
let b:undo_ftplugin = 'setlocal commentstring< comments< equalprg< formatprg< makeprg< errorformat<'
