#pragma once
/* Numbers that headers of the kernel define as macros, which its type information does not
   have: for scripts whose headers are not there. Source: include/linux, include/uapi. */
#ifndef AF_UNSPEC
#define AF_UNSPEC 0
#endif
#ifndef AF_UNIX
#define AF_UNIX 1
#endif
#ifndef AF_LOCAL
#define AF_LOCAL 1
#endif
#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif
#ifndef AF_NETLINK
#define AF_NETLINK 16
#endif
#ifndef AF_PACKET
#define AF_PACKET 17
#endif
#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif
#ifndef PF_UNIX
#define PF_UNIX 1
#endif
#ifndef PF_INET
#define PF_INET 2
#endif
#ifndef PF_INET6
#define PF_INET6 10
#endif
#ifndef MSG_PEEK
#define MSG_PEEK 2
#endif
#ifndef MSG_DONTWAIT
#define MSG_DONTWAIT 64
#endif
#ifndef ETH_P_IP
#define ETH_P_IP 2048
#endif
#ifndef ETH_P_ARP
#define ETH_P_ARP 2054
#endif
#ifndef ETH_P_IPV6
#define ETH_P_IPV6 34525
#endif
#ifndef ETH_ALEN
#define ETH_ALEN 6
#endif
#ifndef IFNAMSIZ
#define IFNAMSIZ 16
#endif
#ifndef TASK_RUNNING
#define TASK_RUNNING 0
#endif
#ifndef TASK_INTERRUPTIBLE
#define TASK_INTERRUPTIBLE 1
#endif
#ifndef TASK_UNINTERRUPTIBLE
#define TASK_UNINTERRUPTIBLE 2
#endif
#ifndef PF_EXITING
#define PF_EXITING 4
#endif
#ifndef PF_KTHREAD
#define PF_KTHREAD 2097152
#endif
#ifndef PF_WQ_WORKER
#define PF_WQ_WORKER 32
#endif
#ifndef S_IFMT
#define S_IFMT 00170000
#endif
#ifndef S_IFSOCK
#define S_IFSOCK 0140000
#endif
#ifndef S_IFLNK
#define S_IFLNK 0120000
#endif
#ifndef S_IFREG
#define S_IFREG 0100000
#endif
#ifndef S_IFBLK
#define S_IFBLK 0060000
#endif
#ifndef S_IFDIR
#define S_IFDIR 0040000
#endif
#ifndef S_IFCHR
#define S_IFCHR 0020000
#endif
#ifndef S_IFIFO
#define S_IFIFO 0010000
#endif
#ifndef O_ACCMODE
#define O_ACCMODE 3
#endif
#ifndef O_RDONLY
#define O_RDONLY 0
#endif
#ifndef O_WRONLY
#define O_WRONLY 1
#endif
#ifndef O_RDWR
#define O_RDWR 2
#endif
#ifndef O_CREAT
#define O_CREAT 00100
#endif
#ifndef O_EXCL
#define O_EXCL 00200
#endif
#ifndef O_TRUNC
#define O_TRUNC 01000
#endif
#ifndef O_APPEND
#define O_APPEND 02000
#endif
#ifndef O_DIRECTORY
#define O_DIRECTORY 0200000
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC 02000000
#endif
#ifndef PROT_READ
#define PROT_READ 1
#endif
#ifndef PROT_WRITE
#define PROT_WRITE 2
#endif
#ifndef PROT_EXEC
#define PROT_EXEC 4
#endif
#ifndef MAP_SHARED
#define MAP_SHARED 1
#endif
#ifndef MAP_PRIVATE
#define MAP_PRIVATE 2
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS 32
#endif
#ifndef CLONE_VM
#define CLONE_VM 256
#endif
#ifndef CLONE_THREAD
#define CLONE_THREAD 65536
#endif
#ifndef CLONE_NEWNS
#define CLONE_NEWNS 131072
#endif
#ifndef SIGHUP
#define SIGHUP 1
#endif
#ifndef SIGINT
#define SIGINT 2
#endif
#ifndef SIGQUIT
#define SIGQUIT 3
#endif
#ifndef SIGKILL
#define SIGKILL 9
#endif
#ifndef SIGSEGV
#define SIGSEGV 11
#endif
#ifndef SIGTERM
#define SIGTERM 15
#endif
#ifndef MINORBITS
#define MINORBITS 20
#endif
