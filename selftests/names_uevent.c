// SPDX-License-Identifier: GPL-2.0
/*
 * What udev is told when a name comes and goes. mmapdev only.
 */
#include "harness.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "child.h"
#include "name.h"

FIXTURE(uevent) {
	struct object o;
	int socket;
};

FIXTURE_VARIANT(uevent) {
	enum backend_kind kind;
};

MMAPDEV_VARIANTS(uevent);

FIXTURE_SETUP(uevent)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1,		/* the kernel's own, not udev's */
	};

	self->o = object_open(variant->kind);
	ASSERT_GE(self->o.fd, 0);
	self->socket = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			      NETLINK_KOBJECT_UEVENT);
	ASSERT_GE(self->socket, 0);
	ASSERT_EQ(0, bind(self->socket, (struct sockaddr *)&address,
			  sizeof(address)));
}

FIXTURE_TEARDOWN_PARENT(uevent)
{
	name_clean(NAME);
}

/* An event: a header, then variables, each ended by a NUL. */
struct event {
	char text[4096];
	ssize_t size;
};

/* The value of a variable, or NULL. */
static const char *event_value(const struct event *e, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = e->text; at < e->text + e->size;
	     at += strlen(at) + 1)
		if (!strncmp(at, name, n) && at[n] == '=')
			return at + n + 1;
	return NULL;
}

/* The next event of the class: 0, or -1 if none comes. */
static int event_next(int socket, struct event *e)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	const char *subsystem;

	do {
		if (poll(&p, 1, CHILD_DEADLINE_MS) != 1)
			return -1;
		e->size = recv(socket, e->text, sizeof(e->text) - 1, 0);
		if (e->size <= 0)
			return -1;
		e->text[e->size] = '\0';
		subsystem = event_value(e, "SUBSYSTEM");
	} while (!subsystem || strcmp(subsystem, "mmapdev"));
	return 0;
}

#define EXPECT_VALUE(expected, name) do {				\
	const char *value_ = event_value(&e, name);			\
	ASSERT_NE(NULL, value_) TH_LOG("no %s", name);			\
	EXPECT_STREQ(expected, value_) TH_LOG("%s", name);		\
} while (0)

TEST_F(uevent, tells_node_number_and_permissions)
{
	struct mmapdev_name asked = name_plain(NAME);
	char major_text[16], minor_text[16];
	struct stat st;
	struct event e;

	asked.mode = 0640;
	asked.uid = 12;
	asked.gid = 34;
	ASSERT_EQ(0, name_set(self->o.fd, &asked));
	ASSERT_EQ(0, stat(name_path(NAME), &st));
	snprintf(major_text, sizeof(major_text), "%u", major(st.st_rdev));
	snprintf(minor_text, sizeof(minor_text), "%u", minor(st.st_rdev));
	ASSERT_EQ(0, event_next(self->socket, &e));
	EXPECT_VALUE("add", "ACTION");
	EXPECT_VALUE("mmapdev-" NAME, "DEVNAME");
	EXPECT_VALUE("/devices/virtual/mmapdev/" NAME, "DEVPATH");
	EXPECT_VALUE("0640", "DEVMODE");
	EXPECT_VALUE("12", "DEVUID");
	EXPECT_VALUE("34", "DEVGID");
	EXPECT_VALUE(major_text, "MAJOR");
	EXPECT_VALUE(minor_text, "MINOR");

	ASSERT_EQ(0, name_remove(&self->o));
	ASSERT_EQ(0, event_next(self->socket, &e));
	EXPECT_VALUE("remove", "ACTION");
	EXPECT_VALUE("mmapdev-" NAME, "DEVNAME");
	EXPECT_VALUE("/devices/virtual/mmapdev/" NAME, "DEVPATH");
	EXPECT_VALUE(major_text, "MAJOR");
	EXPECT_VALUE(minor_text, "MINOR");
}

/* The node is there when it is told of, and opens; nothing else is told. */
TEST_F(uevent, comes_once_when_the_node_can_be_opened)
{
	struct event e;

	for (int i = 0; i < 10; i++) {
		struct object named;

		ASSERT_EQ(0, name_give(&self->o, NAME));
		EXPECT_EQ(-1, name_give(&self->o, NAME_2));
		ASSERT_EQ(0, event_next(self->socket, &e));
		EXPECT_VALUE("add", "ACTION");
		named = name_open(NAME, O_RDONLY);
		ASSERT_LE(0, named.fd);
		object_close(&named);
		ASSERT_EQ(0, name_remove(&self->o));
		EXPECT_EQ(-1, name_remove(&self->o));
		ASSERT_EQ(0, event_next(self->socket, &e));
		EXPECT_VALUE("remove", "ACTION");
	}
	EXPECT_EQ(-1, recv(self->socket, e.text, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_HARNESS_MAIN
