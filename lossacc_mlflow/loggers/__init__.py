"""From training code to the run: what is logged in common, and one small file a framework."""
