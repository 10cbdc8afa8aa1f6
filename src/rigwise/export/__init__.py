"""What others read: a layout in the words of a training framework, a run as the script of a launcher. Text only."""
