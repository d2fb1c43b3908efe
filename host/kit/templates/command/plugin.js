// `nacre {{name}} IMAGE` counts the files of an image.

import store from "nacre:plugin/store@0.1.0";
import terminal from "nacre:plugin/terminal@0.1.0";

export const runner = {
  run(command, args) {
    const files = store.open(args[0].value, null).files();
    let [count, size] = [0, 0];
    for (;;) {
      const entries = files.next(1000);
      if (entries.length === 0) break;
      count += entries.length;
      size += entries.reduce((sum, entry) => sum + entry.size, 0);
    }
    terminal.text(`${count} files, ${size} bytes`);
    return 0;
  },
};
