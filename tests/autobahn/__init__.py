"""What is made of the Autobahn test suite's report."""
