"""Where well ends and ill begins: every threshold of `ytm-health`, once, with its unit."""

from __future__ import annotations

STATUS_AGE_S = 5.0
"""A service says once a second how it is; one that has not for so long has stopped or hangs."""
PROGRESS_AGE_S = 10.0
"""Since the last finished turn of real work. A camera may be silent for as long."""
STARTING_S = 60.0
"""A service that runs for less may still be without what it needs."""
RESTARTED_S = 600.0
"""How long a restart is worth a word."""
FRAME_AGE_MS = 1000.0
"""Between a picture of the camera and now, while somebody is mirrored."""
REFLECTIONS_PER_S = 15.0
"""At least so many, while somebody is mirrored."""
FRAMES_PER_S = 15.0
"""At least so many pictures on the screen, while somebody is mirrored."""
LATENCY_MS = 80.0
"""Frame to screen, and frame to sample at the card: the budget, at the 95th percentile."""
BAD_ANSWERS_PERCENT = 0.1
"""Of the reflections lately, those that a graph answered with what is no number."""
DARK_PERCENT = 60.0
"""Of the picture's area, black: more cannot be levelled."""
BRIGHT_PERCENT = 40.0
"""Of the picture's area, white: more cannot be levelled."""
PRESENCE_S = 6 * 3600.0
"""Nobody stands before a mirror for so long."""
RATE_PER_H = 6.0
"""Underruns, losses of the card and recoveries of the camera, each, lately: more is a fault."""
RATE_MIN_COUNT = 3.0
"""Fewer say nothing about a rate."""
REJECTED_PER_H = 60.0
"""Messages between the services that did not fit, lately."""
MEMORY_SLOPE_KIB_PER_H = 20.0 * 1024
"""Growth of a service since it had warmed up."""
MEMORY_SLOPE_AFTER_S = 3600.0
"""Since its memory was first looked at: over less time, growth says nothing."""
DESCRIPTORS = 512.0
"""Open in one service: half of what Linux allows."""
MEMORY_FREE_PERCENT = 10.0
"""Of the board's memory, available."""
DISK_FREE_PERCENT = 5.0
"""Of a file system, to anybody; and of its inodes."""
DISK_FULL_PERCENT = 1.0
"""Less is full."""
HOT_C = 85.0
"""The hottest sensor of the board."""
TOO_HOT_C = 97.0
"""A Jetson Orin throttles at 99 and switches off at 104."""
