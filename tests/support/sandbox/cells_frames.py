"""Cells that forge, cut off, hold up or steal what the session and the controller say to each other."""

from __future__ import annotations

from tests.support.sandbox.cells import Cell, attack

_THIEF = """
    import os, socket, struct, threading
    control = socket.socket(fileno=os.dup(3))
    def steal():
        while True:
            data = control.recv(28, {flags})
            if len(data) == 28:
                {answer}
    threading.Thread(target=steal, daemon=True).start()
"""


def _thief(name: str, answer: str, flags: str = "0") -> Cell:
    return attack(name, "frames", _THIEF.format(answer=answer, flags=flags), then_notout=["99"])


CELLS = [
    attack("forged_status", "frames", "import os\nprint('one')\nos.write(3, bytes(1))\nprint('two')"),
    attack("forged_status_then_output", "frames", """
        import os
        os.write(3, bytes(1))
        while True: os.write(1, b"99 " * 1000)
        """, quiet=True, then_notout=["99"]),
    attack("forged_every_byte", "frames", "import os\nfor n in range(256): os.write(3, bytes([n]))"),
    attack("forged_flood", "frames", "import os\nwhile True: os.write(3, bytes(1 << 16))"),
    attack("forged_flood_of_threads", "frames", """
        import os, threading
        def f():
            while True: os.write(3, bytes(1 << 16))
        for _ in range(20): threading.Thread(target=f, daemon=True).start()
        """),
    attack("forged_late", "frames", """
        import os, threading, time
        def f():
            time.sleep(0.3)
            os.write(3, bytes(1)); os.write(1, b"99\\n")
        threading.Thread(target=f, daemon=True).start()
        """, then="import time\ntime.sleep(1)\nprint(6*7)", then_notout=["99"]),
    attack("forged_out_of_memory", "frames", "import os\nos.write(3, bytes([2]))\nprint('on')"),
    attack("forged_from_the_stack", "frames", """
        import os, sys
        frame, seen = sys._getframe(), set()
        while frame:
            seen |= {v for v in frame.f_locals.values() if isinstance(v, bytes)}
            frame = frame.f_back
        for value in seen:
            os.write(3, value[:16] + bytes(1))
        os.write(1, b"99")
        """),
    attack("forged_from_memory", "frames", """
        import gc, os
        for thing in gc.get_objects():
            if isinstance(thing, (tuple, list)):
                for value in thing:
                    if isinstance(value, bytes) and len(value) in (8, 12, 16, 28): os.write(3, value + bytes(1))
        """),
    _thief("thief_says_nothing", "pass"),
    _thief("thief_answers", "control.sendall(data[:16] + bytes(1))"),
    _thief("thief_prints", "os.write(1, b'99'); control.sendall(data[:16] + bytes(1))"),
    _thief("thief_runs_another", "exec(\"print(99)\"); control.sendall(data[:16] + bytes(1))"),
    _thief("peeper_answers_first", "control.sendall(data[:16] + bytes(1)); os.read(3, 9)", "socket.MSG_PEEK"),
    _thief("peeper_answers_all", "control.sendall(data[:16]); control.sendall(bytes(1))", "socket.MSG_PEEK"),
    attack("thread_forges_the_next_end", "frames", """
        import os, sys, threading
        main = threading.get_ident()
        def f():
            while True:
                frame = sys._current_frames()[main]
                while frame:
                    request = frame.f_locals.get("request")
                    if request and b"6*7" in request.source: os.write(3, request.token + bytes(1))
                    frame = frame.f_back
        threading.Thread(target=f, daemon=True).start()
        """, then="import time\ntime.sleep(0.3)\nprint(6*7)"),
    attack("own_end_forged_by_its_token", "frames", """
        import os, sys
        frame = sys._getframe()
        while frame:
            for value in frame.f_locals.values():
                token = getattr(value, "token", None)
                if token: os.write(1, token); os.write(3, token + bytes(1))
            frame = frame.f_back
        while True: os.write(1, b"99")
        """, then_notout=["99"], quiet=True),
    attack("man_in_the_middle", "frames", """
        import os, socket, threading
        outer = socket.socket(fileno=os.dup(3))
        inner, other = socket.socketpair()
        os.dup2(other.fileno(), 3)
        def requests():
            while data := outer.recv(1 << 16): inner.sendall(data.replace(b"6*7", b"9*9"))
        def answers():
            while data := inner.recv(1 << 16): outer.sendall(data)
        for f in (requests, answers): threading.Thread(target=f, daemon=True).start()
        """, then_notout=["81"]),
    attack("stopped_reading", "frames", """
        import os, signal, threading, time
        def f():
            while True:
                time.sleep(0.01); os.kill(os.getpid(), signal.SIGSTOP)
        threading.Thread(target=f, daemon=True).start()
        """, then="#" + "x" * 4_000_000 + "\nprint(6*7)"),
    attack("half_shut", "frames", """
        import socket
        s = socket.socket(fileno=3); s.shutdown(socket.SHUT_WR); s.detach()
        """),
    attack("wholly_shut_in_another_copy", "frames", """
        import os, socket
        s = socket.socket(fileno=os.dup(3)); s.shutdown(socket.SHUT_RDWR)
        """),
    attack("closed_and_kept", "frames", "import os\nkept = os.dup(3)\nos.close(3)"),
    attack("closed_and_reopened", "frames", "import os\nos.close(3)\nf = open('three', 'w+')\nprint(f.fileno())"),
    *(
        attack(f"option_{name}", "frames", f"""
            import socket, struct
            s = socket.socket(fileno=3)
            try: s.setsockopt(socket.SOL_SOCKET, {option}, {value})
            finally: s.detach()
            """, then="#" + "x" * 100_000 + "\nprint(6*7)")
        for name, option, value in (
            ("receive_timeout", "socket.SO_RCVTIMEO", "struct.pack('ll', 0, 1)"),
            ("send_timeout", "socket.SO_SNDTIMEO", "struct.pack('ll', 0, 1)"),
            ("low_water", "socket.SO_RCVLOWAT", "1 << 20"),
            ("small_buffers", "socket.SO_SNDBUF", "1"),
            ("peek_offset", "42", "5"),
            ("credentials", "socket.SO_PASSCRED", "1"),
        )
    ),
    attack("descriptors_sent", "frames", """
        import array, os, socket
        s = socket.socket(fileno=os.dup(3))
        ends = array.array("i", [3, s.fileno(), 1])
        for _ in range(5): s.sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, ends)])
        """),
    attack("own_end_kept_in_a_queue", "frames", """
        import array, os, socket
        a, b = socket.socketpair()
        a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [3, 1, b.fileno()]))])
        os._exit(0)
        """),
    attack("urgent_byte", "frames", """
        import os, socket
        s = socket.socket(fileno=os.dup(3))
        s.send(b"x", socket.MSG_OOB)
        """),
    attack("request_read_within_the_cell", "frames", "import os\nos.read(3, 100)", timeout=1),
    attack("output_read_back", "frames", """
        import os
        for path in ("/proc/self/fd/1", "/dev/fd/1", "/dev/stdout"):
            try: os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 100)
            except OSError: pass
        """),
    attack("ends_between_two_cells", "frames", """
        import os, threading, time
        def f():
            while threading.main_thread().is_alive():
                time.sleep(0.001)
                if not os.path.exists("here"): os._exit(0)
        threading.Thread(target=f, daemon=True).start()
        """),
]  # fmt: skip
