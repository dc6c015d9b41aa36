// The suites name their folders by the millisecond and clean up without waiting: two groups of tests that begin in one
// millisecond delete each other's files. Here no two moments are the same.
const given = Date.prototype.getTime;
let last = 0;
Date.prototype.getTime = function getTime() {
  last = Math.max(given.call(this), last + 1);
  return last;
};
