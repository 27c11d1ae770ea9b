"""The system calls that a cell may make or may not, their numbers on x86-64 and AArch64 (-1: none)."""

from __future__ import annotations

_FILES = """
read 0 63, write 1 64, open 2 -1, close 3 57, stat 4 -1, fstat 5 80, lstat 6 -1, poll 7 -1, lseek 8 62,
pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66, access 21 -1, pipe 22 -1, select 23 -1,
dup 32 23, dup2 33 -1, sendfile 40 71, fsync 74 82, fdatasync 75 83, ftruncate 77 46,
getdents 78 -1, getcwd 79 17, chdir 80 49, fchdir 81 50, rename 82 -1, mkdir 83 -1, rmdir 84 -1,
creat 85 -1, link 86 -1, unlink 87 -1, symlink 88 -1, readlink 89 -1, umask 95 166, statfs 137 43,
fstatfs 138 44, fadvise64 221 223, getdents64 217 61, openat 257 56, mkdirat 258 34, newfstatat 262 79,
unlinkat 263 35, renameat 264 38, linkat 265 37, symlinkat 266 36, readlinkat 267 78, faccessat 269 48,
pselect6 270 72, ppoll 271 73, splice 275 76, tee 276 77, sync_file_range 277 84,
dup3 292 24, pipe2 293 59, preadv 295 69, pwritev 296 70, renameat2 316 276, copy_file_range 326 285,
preadv2 327 286, pwritev2 328 287, statx 332 291, faccessat2 439 439
"""
_EVENTS = """
epoll_create 213 -1, epoll_wait 232 -1, epoll_ctl 233 21, epoll_pwait 281 22, epoll_create1 291 20,
epoll_pwait2 441 441, eventfd 284 -1, eventfd2 290 19, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, recvfrom 45 207, recvmsg 47 212, shutdown 48 210,
getsockname 51 204, getpeername 52 205, getsockopt 55 209
"""
_MEMORY = """
mprotect 10 226, munmap 11 215, brk 12 214, mremap 25 216, msync 26 227, mincore 27 232,
madvise 28 233
"""
_PROCESS = """
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, sched_yield 24 124, pause 34 -1,
nanosleep 35 101, getitimer 36 102, alarm 37 -1, setitimer 38 103, getpid 39 172, exit 60 93,
wait4 61 260, uname 63 160, gettimeofday 96 169, getrlimit 97 163, getrusage 98 165, sysinfo 99 179,
times 100 153, getuid 102 174, getgid 104 176, geteuid 107 175, getegid 108 177, getppid 110 173,
getpgrp 111 -1, getgroups 115 158, getresuid 118 148, getresgid 120 150, getpgid 121 155, getsid 124 156,
getpriority 140 141, sched_getparam 143 121, sched_getscheduler 145 120, sched_get_priority_max 146 125,
sched_get_priority_min 147 126, arch_prctl 158 -1, gettid 186 178, time 201 -1, futex 202 98,
sched_getaffinity 204 123, set_tid_address 218 96, restart_syscall 219 128,
clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94, waitid 247 95,
set_robust_list 273 99, getcpu 309 168, getrandom 318 278, membarrier 324 283, rseq 334 293
"""
_CHECKED = """
ioctl 16 29, sendto 44 206, socketpair 53 199, clone 56 220, kill 62 129, fcntl 72 25, prctl 157 167,
sched_setaffinity 203 122, tgkill 234 131, prlimit64 302 261, mmap 9 222, close_range 436 436
"""
_OWNERSHIP = """
chmod 90 -1, fchmod 91 52, chown 92 -1, fchown 93 55, lchown 94 -1, utime 132 -1, utimes 235 -1,
fchownat 260 54, futimesat 261 -1, fchmodat 268 53, utimensat 280 88, fchmodat2 452 452
"""
_TRUNCATE = "truncate 76 45"
_UNSUPPORTED = """
setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10,
listxattr 194 11, llistxattr 195 12, flistxattr 196 13, removexattr 197 14, lremovexattr 198 15,
fremovexattr 199 16, fallocate 285 47
"""
_PRETENDED = "flock 73 32, setsockopt 54 208"
_FORBIDDEN = """
socket 41 198, connect 42 203, accept 43 202, bind 49 200, listen 50 201, accept4 288 242, fork 57 -1,
vfork 58 -1, execve 59 221, execveat 322 281, ptrace 101 117, setsid 112 157, setpgid 109 154,
setuid 105 146, setgid 106 144, setreuid 113 145, setregid 114 143, setgroups 116 159, setresuid 117 147,
setresgid 119 149, setpriority 141 140, sched_setparam 142 118, sched_setscheduler 144 119, chroot 161 51,
mount 165 40, umount2 166 39, pivot_root 155 41, unshare 272 97, setns 308 268, mknod 133 -1,
mknodat 259 33, shmget 29 194, semget 64 190, msgget 68 186, mq_open 240 180, memfd_create 319 279,
mlock 149 228, mlockall 151 230, process_vm_readv 310 270, process_vm_writev 311 271, pidfd_open 434 434,
pidfd_send_signal 424 424, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, tkill 200 130, bpf 321 280,
perf_event_open 298 241, keyctl 250 219, add_key 248 217, request_key 249 218, userfaultfd 323 282,
io_uring_setup 425 425, capset 126 91, seccomp 317 277, landlock_create_ruleset 444 444,
personality 135 92, setrlimit 160 164, sendmsg 46 211, sendmmsg 307 269, timer_create 222 107,
timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225 109, timer_delete 226 111
"""

_COLUMNS = {"x86_64": 1, "aarch64": 2}


def _numbers(table: str, machine: str) -> dict[str, int]:
    rows = [row.split() for row in table.replace("\n", " ").split(",")]
    column = _COLUMNS[machine]
    return {row[0]: int(row[column]) for row in rows if int(row[column]) >= 0}


class Table:
    """The tables of one machine (`platform.machine()`); raises KeyError for one that is not known."""

    def __init__(self, machine: str) -> None:
        free = (_FILES, _EVENTS, _MEMORY, _PROCESS)
        self.free = {name: n for table in free for name, n in _numbers(table, machine).items()}
        self.checked = _numbers(_CHECKED, machine)
        self.ownership = _numbers(_OWNERSHIP, machine)
        self.pretended = _numbers(_PRETENDED, machine)
        self.truncate = _numbers(_TRUNCATE, machine)
        self.unsupported = _numbers(_UNSUPPORTED, machine)
        self.forbidden = _numbers(_FORBIDDEN, machine)
