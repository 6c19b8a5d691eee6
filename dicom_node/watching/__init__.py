"""What people look at: status, traces and pictures. Reads only."""
