// Reads plaintext at OpenSSL's own calls, in chosen processes only. `build` compiles it; the object is committed and embedded.
//
// Nothing is written anywhere but into this program's own maps: memory of the watched process is only read.
//
// No function here may use 64 bytes of stack (a test reads the object). From Linux 6.13 on, a uprobe program with more of it is given
// a stack that is shared by all tasks of a CPU, and a preemptible kernel lets two of them run on it at once. Hence all state lies in
// map values, and what is put into a map is first put there empty.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;

// The registers of a stopped process, as programs of this type get to see them (no kernel headers of the other CPU are needed).
#if defined(__TARGET_ARCH_x86)
struct regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define ARG1(ctx) ((ctx)->di)
#define ARG2(ctx) ((ctx)->si)
#define ARG3(ctx) ((ctx)->dx)
#define ARG4(ctx) ((ctx)->cx)
#define RESULT(ctx) ((ctx)->ax)
#elif defined(__TARGET_ARCH_arm64)
struct regs {
	u64 regs[31], sp, pc, pstate;
};
#define ARG1(ctx) ((ctx)->regs[0])
#define ARG2(ctx) ((ctx)->regs[1])
#define ARG3(ctx) ((ctx)->regs[2])
#define ARG4(ctx) ((ctx)->regs[3])
#define RESULT(ctx) ((ctx)->regs[0])
#endif

// As little of the kernel's structures as the choice of processes needs; where the members lie is found when the program is loaded.
#define KERNEL __attribute__((preserve_access_index))
struct super_block { u32 s_dev; } KERNEL;
struct inode { unsigned long i_ino; struct super_block *i_sb; } KERNEL;
struct file { struct inode *f_inode; } KERNEL;
struct mm_struct { struct file *exe_file; } KERNEL;
struct task_struct {
	s32 tgid;
	u64 start_boottime;
	struct task_struct *real_parent, *group_leader;
	struct mm_struct *mm;
} KERNEL;

// What user space reads. `event.rs` mirrors it.
enum kind { DATA = 1, NAME = 2, RANDOM = 3, HANDSHAKE = 4, SOCKET = 5, FREED = 6 };
enum dir { WRITE = 0, READ = 1, NEITHER = 2 };

struct head {
	u64 ts;       // when the call returned
	u64 began;    // when it began
	u64 ssl;      // the connection's pointer
	u64 gen;      // which connection of that pointer
	u64 off;      // place of the first byte in its direction; FREED: bytes written in all
	u64 extra;    // SOCKET: its number; FREED: bytes read in all
	u32 pid, tid;
	u32 len;      // bytes that follow
	u8 kind, dir;
	u8 born;      // the connection was seen from its beginning
	u8 unread;    // the bytes could not be read: only their number is true
};

enum count { CALLS, STRANGERS, DROPPED_EVENTS, DROPPED_BYTES, FAULTS, CUT_BYTES, COUNTS };

// A connection.
struct conn_key { u64 ssl; u64 pid; };
struct conn { u64 gen; u64 off[2]; u64 born; };

// A call that has begun, by thread.
struct call { u64 ssl, buf, lenp, began, left, random; u32 dir, len; };

// A process's identity, and what was decided of it.
struct decided { u64 start, mm; u32 epoch, yes; };
struct exe { u64 ino; u32 dev, pad; };

#define MAP(NAME, TYPE, KEY, VALUE, MAX) \
	struct { \
		__uint(type, TYPE); \
		__type(key, KEY); \
		__type(value, VALUE); \
		__uint(max_entries, MAX); \
	} NAME SEC(".maps")

MAP(conns, BPF_MAP_TYPE_LRU_HASH, struct conn_key, struct conn, 32768);
MAP(calls, BPF_MAP_TYPE_LRU_HASH, u64, struct call, 16384);
MAP(decisions, BPF_MAP_TYPE_LRU_HASH, u32, struct decided, 8192);
MAP(counts, BPF_MAP_TYPE_PERCPU_ARRAY, u32, u64, COUNTS);
// Chosen: processes with their start in clock ticks (their children are, too), programs, containers.
MAP(pids, BPF_MAP_TYPE_HASH, u32, u64, 4096);
MAP(exes, BPF_MAP_TYPE_HASH, struct exe, u32, 64);
MAP(cgroups, BPF_MAP_TYPE_HASH, u64, u32, 1024);
// Grows with each change of the three: what was decided before is decided again.
MAP(epoch, BPF_MAP_TYPE_ARRAY, u32, u32, 1);
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 << 20);
} ring SEC(".maps");

static const struct conn NO_CONN = {};
static const struct call NO_CALL = {};

static __noinline void count(u32 what, u64 n)
{
	u64 *slot = bpf_map_lookup_elem(&counts, &what);
	if (slot)
		*slot += n;
}

// Processes.

// Linux shows the start of a process in hundredths of a second.
#define TICK 10000000

static __noinline int is_chosen_pid(struct task_struct *task)
{
	u32 pid = BPF_CORE_READ(task, tgid);
	u64 *start = bpf_map_lookup_elem(&pids, &pid);
	return start && *start == BPF_CORE_READ(task, group_leader, start_boottime) / TICK;
}

static __noinline int is_chosen_exe(struct task_struct *task)
{
	struct exe exe = {};
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	exe.ino = BPF_CORE_READ(inode, i_ino);
	exe.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	return bpf_map_lookup_elem(&exes, &exe) != 0;
}

static __noinline int is_chosen_cgroup(void)
{
	u64 id = bpf_get_current_cgroup_id();
	return bpf_map_lookup_elem(&cgroups, &id) != 0;
}

// Itself, its program, its container, or one of its forebears.
static __noinline int decide(struct task_struct *task)
{
	if (is_chosen_cgroup() || is_chosen_exe(task))
		return 1;
	for (int n = 0; n < 6; n++) {
		if (is_chosen_pid(task))
			return 1;
		task = BPF_CORE_READ(task, real_parent);
	}
	return 0;
}

static __noinline int chosen(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 zero = 0, pid = bpf_get_current_pid_tgid() >> 32;
	u32 *now = bpf_map_lookup_elem(&epoch, &zero);
	struct decided *known = bpf_map_lookup_elem(&decisions, &pid);
	if (!now)
		return 0;
	// A process that was replaced by another program has new memory.
	u64 mm = (u64)BPF_CORE_READ(task, mm), start = BPF_CORE_READ(task, group_leader, start_boottime);
	if (!known || known->epoch != *now || known->mm != mm || known->start != start) {
		// Put there whole: another thread must not read who it is for before what was decided.
		struct decided fresh = { start, mm, *now, decide(task) };
		bpf_map_update_elem(&decisions, &pid, &fresh, BPF_ANY);
		count(fresh.yes ? CALLS : STRANGERS, 1);
		return fresh.yes;
	}
	count(known->yes ? CALLS : STRANGERS, 1);
	return known->yes;
}

// Connections.

static __noinline struct conn *conn_of(u64 ssl, u32 born)
{
	struct conn_key key = { ssl, bpf_get_current_pid_tgid() >> 32 };
	struct conn *conn = bpf_map_lookup_elem(&conns, &key);
	if (conn && !born)
		return conn;
	bpf_map_update_elem(&conns, &key, &NO_CONN, BPF_ANY);
	conn = bpf_map_lookup_elem(&conns, &key);
	if (conn) {
		conn->gen = bpf_ktime_get_ns();
		conn->born = born;
	}
	return conn;
}

// Without a wake-up until a quarter of the ring is full: user space looks by itself every few milliseconds.
static __noinline u64 wakeup(void)
{
	u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA), size = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
	return used > size / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline void fill(struct head *head, u64 ssl, struct conn *conn, u32 kind)
{
	u64 id = bpf_get_current_pid_tgid();
	head->ts = head->began = bpf_ktime_get_ns();
	head->ssl = ssl;
	head->gen = conn->gen;
	head->off = 0;
	head->extra = 0;
	head->pid = id >> 32;
	head->tid = id;
	head->len = 0;
	head->kind = kind;
	head->dir = NEITHER;
	head->born = conn->born;
	head->unread = 0;
}

// Hands on up to N bytes of a call. The place in the stream advances also where there is no room: user space sees the hole.
#define CHUNK(N) \
	static __noinline int chunk_##N(struct call *call, struct conn *conn) \
	{ \
		struct event { struct head head; u8 data[N]; } *event; \
		u64 n = call->left; \
		if (n > N) \
			n = N; \
		u32 dir = call->dir & 1; \
		event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0); \
		if (event) { \
			fill(&event->head, call->ssl, conn, DATA); \
			event->head.began = call->began; \
			event->head.off = conn->off[dir]; \
			event->head.dir = dir; \
			event->head.len = n; \
			/* The compiler must not think itself wiser than the verifier. */ \
			asm volatile("" : "+r"(n)); \
			if (n > N) \
				n = N; \
			if (bpf_probe_read_user(event->data, n, (void *)call->buf)) { \
				event->head.unread = 1; \
				count(FAULTS, 1); \
			} \
			bpf_ringbuf_submit(event, wakeup()); \
		} else { \
			count(DROPPED_EVENTS, 1); \
			count(DROPPED_BYTES, n); \
		} \
		conn->off[dir] += n; \
		call->buf += n; \
		call->left -= n; \
		return 0; \
	}
CHUNK(512)
CHUNK(4096)
CHUNK(16384)
CHUNK(65536)

// 16 chunks of 64 KiB and what is left of less: 1 MiB.
#define CHUNKS 20

static __noinline int deliver(struct call *call, struct conn *conn)
{
	for (int n = 0; n < CHUNKS && call->left; n++) {
		if (call->left > 65536 - 16384)
			chunk_65536(call, conn);
		else if (call->left > 4096)
			chunk_16384(call, conn);
		else if (call->left > 512)
			chunk_4096(call, conn);
		else
			chunk_512(call, conn);
	}
	if (call->left) {
		count(CUT_BYTES, call->left);
		conn->off[call->dir & 1] += call->left;
	}
	return 0;
}

// A word about a connection, with up to 256 bytes.
struct word { struct head head; u8 data[256]; };

static __noinline int say(u64 ssl, u32 kind, u64 extra)
{
	struct conn *conn = conn_of(ssl, 0);
	if (!conn)
		return 0;
	struct head *head = bpf_ringbuf_reserve(&ring, sizeof(*head), 0);
	if (!head) {
		count(DROPPED_EVENTS, 1);
		return 0;
	}
	fill(head, ssl, conn, kind);
	head->extra = extra;
	if (kind == FREED) {
		head->off = conn->off[WRITE];
		head->extra = conn->off[READ];
	}
	bpf_ringbuf_submit(head, wakeup());
	return 0;
}

static __noinline int begin(u64 ssl, u64 buf, u64 lenp, u32 dir)
{
	u64 id = bpf_get_current_pid_tgid();
	if (!ssl || !chosen())
		return 0;
	if (bpf_map_update_elem(&calls, &id, &NO_CALL, BPF_ANY))
		return 0;
	struct call *call = bpf_map_lookup_elem(&calls, &id);
	if (!call)
		return 0;
	call->ssl = ssl;
	call->buf = buf;
	call->lenp = lenp;
	call->dir = dir;
	call->began = bpf_ktime_get_ns();
	return 0;
}

// What is probed. The loader attaches each by its name: `FUNCTION` at its beginning, `FUNCTION__end` at its return.

SEC("uprobe")
int SSL_read(struct regs *ctx)
{
	return begin(ARG1(ctx), ARG2(ctx), 0, READ);
}

SEC("uprobe")
int SSL_write(struct regs *ctx)
{
	return begin(ARG1(ctx), ARG2(ctx), 0, WRITE);
}

SEC("uprobe")
int SSL_read_ex(struct regs *ctx)
{
	return begin(ARG1(ctx), ARG2(ctx), ARG4(ctx), READ);
}

SEC("uprobe")
int SSL_write_ex(struct regs *ctx)
{
	return begin(ARG1(ctx), ARG2(ctx), ARG4(ctx), WRITE);
}

SEC("uprobe")
int SSL_do_handshake(struct regs *ctx)
{
	return begin(ARG1(ctx), 0, 0, NEITHER);
}

// The return of all of them: only now it is known how much was really read or taken.
SEC("uretprobe")
int call__end(struct regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &id);
	if (!call)
		return 0;
	s32 result = RESULT(ctx);
	if (call->dir == NEITHER) {
		if (result == 1)
			say(call->ssl, HANDSHAKE, 0);
	} else {
		if (!call->lenp)
			call->left = result > 0 ? result : 0;
		else if (result != 1 || bpf_probe_read_user(&call->left, sizeof(call->left), (void *)call->lenp))
			call->left = 0;
		struct conn *conn = call->left ? conn_of(call->ssl, 0) : 0;
		if (conn)
			deliver(call, conn);
	}
	bpf_map_delete_elem(&calls, &id);
	return 0;
}

SEC("uretprobe")
int SSL_new__end(struct regs *ctx)
{
	if (RESULT(ctx) && chosen())
		conn_of(RESULT(ctx), 1);
	return 0;
}

SEC("uprobe")
int SSL_set_fd(struct regs *ctx)
{
	return chosen() ? say(ARG1(ctx), SOCKET, (u32)ARG2(ctx)) : 0;
}

// SSL_set_tlsext_host_name is a macro over this.
#define SET_HOST_NAME 55

SEC("uprobe")
int SSL_ctrl(struct regs *ctx)
{
	if ((u32)ARG2(ctx) != SET_HOST_NAME || !chosen())
		return 0;
	u64 ssl = ARG1(ctx), name = ARG4(ctx);
	struct conn *conn = conn_of(ssl, 0);
	if (!conn)
		return 0;
	struct word *word = bpf_ringbuf_reserve(&ring, sizeof(*word), 0);
	if (!word) {
		count(DROPPED_EVENTS, 1);
		return 0;
	}
	fill(&word->head, ssl, conn, NAME);
	long n = bpf_probe_read_user_str(word->data, sizeof(word->data), (void *)name);
	word->head.len = n > 0 ? n - 1 : 0;
	bpf_ringbuf_submit(word, wakeup());
	return 0;
}

SEC("uprobe")
int SSL_free(struct regs *ctx)
{
	struct conn_key key = { ARG1(ctx), bpf_get_current_pid_tgid() >> 32 };
	if (!key.ssl || !chosen() || !bpf_map_lookup_elem(&conns, &key))
		return 0;
	say(key.ssl, FREED, 0);
	bpf_map_delete_elem(&conns, &key);
	return 0;
}

// The 32 random bytes that OpenSSL makes within a call on a connection: one of them is the random of its hello, which stands in the
// packets as well. That ties what is read here to its TCP connection, whoever owns the socket.

static __noinline int draw(u64 buf, u32 n)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &id);
	if (call)
		call->random = n == 32 ? buf : 0;
	return 0;
}

SEC("uprobe")
int RAND_bytes(struct regs *ctx)
{
	return draw(ARG1(ctx), ARG2(ctx));
}

SEC("uprobe")
int RAND_bytes_ex(struct regs *ctx)
{
	return draw(ARG2(ctx), ARG3(ctx));
}

SEC("uretprobe")
int random__end(struct regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &id);
	if (!call || !call->random || (s32)RESULT(ctx) != 1)
		return 0;
	struct conn *conn = conn_of(call->ssl, 0);
	struct { struct head head; u8 data[32]; } *event = conn ? bpf_ringbuf_reserve(&ring, sizeof(*event), 0) : 0;
	if (!event)
		return 0;
	fill(&event->head, call->ssl, conn, RANDOM);
	event->head.len = 32;
	if (bpf_probe_read_user(event->data, 32, (void *)call->random))
		event->head.unread = 1;
	bpf_ringbuf_submit(event, wakeup());
	call->random = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
