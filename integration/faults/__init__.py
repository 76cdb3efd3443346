"""The fault checker: real processes on real services, broken by a seeded schedule, judged by what clients saw."""
